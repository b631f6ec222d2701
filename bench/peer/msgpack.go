package peer

import "encoding/binary"

// The few forms of msgpack that a request of samples is made of:
// https://github.com/msgpack/msgpack/blob/master/spec.md

// packMap begins a map of less than 16 members.
func packMap(b []byte, members int) []byte { return append(b, 0x80|byte(members)) }

// packArray begins an array.
func packArray(b []byte, length int) []byte {
	return binary.BigEndian.AppendUint32(append(b, 0xdd), uint32(length))
}

// packString writes a text of less than 32 bytes.
func packString(b []byte, text string) []byte {
	return append(append(b, 0xa0|byte(len(text))), text...)
}

// packText writes a member of a map that is a text.
func packText(b []byte, name, text string) []byte { return packString(packString(b, name), text) }

// packBytes writes bytes.
func packBytes(b, content []byte) []byte {
	if len(content) < 1<<8 {
		b = append(b, 0xc4, byte(len(content)))
	} else {
		b = binary.BigEndian.AppendUint32(append(b, 0xc6), uint32(len(content)))
	}
	return append(b, content...)
}
