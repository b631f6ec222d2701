package samples

import (
	"encoding/binary"
	"math"

	"github.com/hokan-db/hokan/engine/model"
)

// AppendMsgpack appends a request with columns as msgpack, in the form that is
// the cheapest to read: times and values as binary. Times must be in the unit
// (s ms us ns) that is named; those of the first column serve every column
// that has the very same slice.
func AppendMsgpack(dst []byte, unit string, columns []model.Column) []byte {
	var shared []int64
	members := byte(2)
	if len(columns) > 0 && len(columns[0].Times) > 0 {
		shared = columns[0].Times
		members++
	}
	dst = append(dst, 0x80|members)
	dst = appendText(appendText(dst, "unit"), unit)
	if shared != nil {
		dst = appendTimes(appendText(dst, "times"), shared)
	}
	dst = appendLength(appendText(dst, "channels"), mpList16+1, len(columns))
	for i := range columns {
		dst = appendColumn(dst, &columns[i], shared)
	}
	return dst
}

func appendColumn(dst []byte, c *model.Column, shared []int64) []byte {
	own := len(c.Times) != len(shared) || len(c.Times) > 0 && &c.Times[0] != &shared[0]
	members := byte(2)
	if own {
		members++
	}
	if c.Properties != nil {
		members++
	}
	labels := 0
	for range c.Labels.All() {
		labels++
	}
	dst = append(dst, 0x80|members)
	dst = appendLength(appendText(dst, "labels"), mpMap16+1, labels)
	for name, value := range c.Labels.All() {
		dst = appendText(appendText(dst, name), value)
	}
	if c.Properties != nil {
		dst = appendProperties(appendText(dst, "properties"), c.Properties)
	}
	if own {
		dst = appendTimes(appendText(dst, "times"), c.Times)
	}
	dst = appendLength(appendText(dst, "values"), mpBin8+2, 8*len(c.Values))
	for _, v := range c.Values {
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(v))
	}
	return dst
}

func appendProperties(dst []byte, p *model.Properties) []byte {
	start := len(dst)
	dst = append(dst, 0x80)
	for _, name := range propertyMembers {
		if name == "decimals" {
			if p.HasDecimals {
				dst = append(appendText(dst, name), mpUint8, p.Decimals)
				dst[start]++
			}
		} else if value := p.Get(name); value != "" {
			dst = appendText(appendText(dst, name), value)
			dst[start]++
		}
	}
	return dst
}

func appendTimes(dst []byte, times []int64) []byte {
	dst = appendLength(dst, mpBin8+2, 8*len(times))
	for _, at := range times {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(at))
	}
	return dst
}

func appendText(dst []byte, text string) []byte {
	if len(text) < 32 {
		return append(append(dst, 0xa0|byte(len(text))), text...)
	}
	return append(appendLength(dst, mpStr8+2, len(text)), text...)
}

// appendLength appends the first byte of an element with 32 bits of length, and
// the length.
func appendLength(dst []byte, first byte, n int) []byte {
	return binary.BigEndian.AppendUint32(append(dst, first), uint32(n))
}
