package disk_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/model"
)

func TestErrors(t *testing.T) {
	for _, test := range []struct{ err, is error }{
		{syscall.ENOSPC, disk.ErrFull},
		{&fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, disk.ErrFull},
		{syscall.EDQUOT, disk.ErrFull},
		{syscall.EROFS, disk.ErrReadOnly},
		{syscall.EACCES, disk.ErrReadOnly},
		{os.ErrPermission, disk.ErrReadOnly},
		{syscall.ENOENT, disk.ErrNotFound},
		{fs.ErrNotExist, disk.ErrNotFound},
	} {
		wrapped := disk.Wrap(test.err)
		if !errors.Is(wrapped, test.is) || !errors.Is(wrapped, test.err) {
			t.Errorf("%v became %v", test.err, wrapped)
		}
		if again := disk.Wrap(wrapped); again.Error() != wrapped.Error() {
			t.Errorf("wrapped twice: %v", again)
		}
	}
	if err := disk.Wrap(syscall.EIO); err != syscall.EIO {
		t.Errorf("EIO became %v", err)
	}
	if disk.Wrap(nil) != nil {
		t.Error("nil became an error")
	}
	var c *disk.Corruption
	err := fmt.Errorf("open: %w", disk.Corrupt("log/1", 42, "bad %s: %w", "length", syscall.EIO))
	if !errors.Is(err, disk.ErrCorrupt) || !errors.Is(err, syscall.EIO) || !errors.As(err, &c) || c.Offset != 42 {
		t.Errorf("a corruption is %v", err)
	}
	if err.Error() != "open: log/1: byte 42: bad length: input/output error" {
		t.Errorf("a corruption says %q", err)
	}
}

func TestSegmentNames(t *testing.T) {
	for _, number := range []uint64{1, 42, 9_999_999_999, 10_000_000_000, math.MaxUint64} {
		if got, ok := disk.ParseSegmentName(disk.SegmentName(number)); !ok || got != number {
			t.Errorf("segment %d came back as %d, %v", number, got, ok)
		}
	}
	for _, name := range []string{"", ".seg", "1.seg", "0000000000.seg", "00000000001.seg", "+000000001.seg",
		"0000000001.seg.quarantine", "0000000001.tmp", "-000000001.seg", "99999999999999999999.seg"} {
		if number, ok := disk.ParseSegmentName(name); ok {
			t.Errorf("%q is segment %d", name, number)
		}
	}
	if name := disk.SegmentName(7); name != "0000000007.seg" {
		t.Errorf("segment 7 is %q", name)
	}
}

func TestCheckpointNames(t *testing.T) {
	name := disk.CheckpointName(7, 1, 42)
	if name != "checkpoints/07-0000000001-00000000000000000042.ckpt" {
		t.Errorf("name %q", name)
	}
	rapid.Check(t, func(t *rapid.T) {
		p := model.Partition(rapid.IntRange(0, model.Partitions-1).Draw(t, "partition"))
		epoch, offset := rapid.Uint64().Draw(t, "epoch"), rapid.Uint64().Draw(t, "offset")
		gotP, gotEpoch, gotOffset, ok := disk.ParseCheckpointName(disk.CheckpointName(p, epoch, offset))
		if !ok || gotP != p || gotEpoch != epoch || gotOffset != offset {
			t.Fatalf("came back as %d, %d, %d, %v", gotP, gotEpoch, gotOffset, ok)
		}
	})
	for _, bad := range []string{"", "checkpoints/", "07-0000000001-00000000000000000042.ckpt",
		"checkpoints/64-0000000001-00000000000000000042.ckpt", "checkpoints/7-0000000001-00000000000000000042.ckpt",
		"checkpoints/07-1-42.ckpt", name + ".tmp", "checkpoints/320-0000000001-00000000000000000042.ckpt"} {
		if _, _, _, ok := disk.ParseCheckpointName(bad); ok {
			t.Errorf("%q is a checkpoint", bad)
		}
	}
}

func TestBlockNames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := disk.BlockName{
			Tenant:      model.Tenant(rapid.StringMatching(`[a-zA-Z0-9_-][a-zA-Z0-9_.-]{0,63}`).Draw(t, "tenant")),
			Level:       rapid.StringMatching(`[a-z]{1,8}`).Draw(t, "level"),
			First:       rapid.Int64().Draw(t, "first"),
			Last:        rapid.Int64().Draw(t, "last"),
			FirstOffset: rapid.Uint64().Draw(t, "first offset"),
			LastOffset:  rapid.Uint64().Draw(t, "last offset"),
			Epoch:       rapid.Uint64().Draw(t, "epoch"),
			Part:        rapid.Uint32().Draw(t, "part"),
		}
		got, ok := disk.ParseBlockName(b.String())
		if !ok || got != b {
			t.Fatalf("%+v came back as %+v, %v", b, got, ok)
		}
		c := b
		c.First = rapid.Int64().Draw(t, "other first")
		if (b.First < c.First) != (b.String() < c.String()) {
			t.Fatalf("names do not sort by time: %v, %v", b, c)
		}
	})
	name := disk.BlockName{Tenant: "t", Level: "flush", First: -1, Last: 1, FirstOffset: 2, LastOffset: 3, Epoch: 4, Part: 5}.String()
	const expected = "blocks/t/flush-7fffffffffffffff-8000000000000001-00000000000000000002-00000000000000000003-0000000004-00005.blk"
	if name != expected {
		t.Errorf("name %q", name)
	}
	for _, bad := range []string{"", "blocks/t/flush.blk", "x/t/flush-1", name + ".tmp", name[1:],
		"blocks/.t" + name[len("blocks/t"):], "blocks/t/" + name, "other" + name[len("blocks"):]} {
		if got, ok := disk.ParseBlockName(bad); ok {
			t.Errorf("%q is block %+v", bad, got)
		}
	}
}

func FuzzParseNames(f *testing.F) {
	f.Add("blocks/t/flush-7fffffffffffffff-8000000000000001-00000000000000000002-00000000000000000003-0000000004-00005.blk")
	f.Add(disk.CheckpointName(1, 2, 3))
	f.Add(disk.SegmentName(9))
	f.Fuzz(func(t *testing.T, name string) {
		if b, ok := disk.ParseBlockName(name); ok && b.String() != name {
			t.Errorf("%q is %q", name, b)
		}
		if p, epoch, offset, ok := disk.ParseCheckpointName(name); ok && disk.CheckpointName(p, epoch, offset) != name {
			t.Errorf("%q is of partition %d, %d, %d", name, p, epoch, offset)
		}
		if number, ok := disk.ParseSegmentName(name); ok && disk.SegmentName(number) != name {
			t.Errorf("%q is segment %d", name, number)
		}
	})
}

// TestFrameBytes fixes the format, byte by byte.
func TestFrameBytes(t *testing.T) {
	frame := disk.AppendFrame([]byte("before"), 0x01020304, []byte("123456789"))[6:]
	expected := []byte{9, 0, 0, 0, 4, 3, 2, 1, 0, 0, 0, 0}
	if !bytes.Equal(frame[:12], expected) || string(frame[16:]) != "123456789" || len(frame) != disk.FrameHeaderSize+9 {
		t.Errorf("frame % x", frame)
	}
	sum := disk.Checksum(append(bytes.Clone(frame[:12]), frame[16:]...))
	if stored := uint32(frame[12]) | uint32(frame[13])<<8 | uint32(frame[14])<<16 | uint32(frame[15])<<24; stored != sum {
		t.Errorf("checksum %08x, stored %08x", sum, stored)
	}
	if check := disk.Checksum([]byte("123456789")); check != 0xe3069283 { // the check value of CRC-32C
		t.Errorf("the checksum is not CRC-32C: %08x", check)
	}
}

func TestFrames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var file []byte
		var payloads [][]byte
		for i := range rapid.IntRange(0, 5).Draw(t, "frames") {
			payload := rapid.SliceOf(rapid.Byte()).Draw(t, "payload")
			payloads = append(payloads, payload)
			if i%2 == 0 {
				file = disk.AppendFrame(file, uint32(i), payload)
				continue
			}
			start := len(file)
			file = append(disk.BeginFrame(file), payload...)
			disk.FinishFrame(file, start, 77)
			file = disk.FinishFrame(file, start, uint32(i)) // again, with another number
		}
		rest := file
		for i, expected := range payloads {
			payload, number, size, err := disk.ReadFrame(rest)
			if err != nil || number != uint32(i) || !bytes.Equal(payload, expected) || size != disk.FrameHeaderSize+len(expected) {
				t.Fatalf("frame %d: %x, %d, %d, %v", i, payload, number, size, err)
			}
			for cut := range size {
				if _, _, _, err := disk.ReadFrame(rest[:cut]); !errors.Is(err, disk.ErrShortFrame) {
					t.Fatalf("frame cut to %d of %d: %v", cut, size, err)
				}
			}
			rest = rest[size:]
		}
	})
}

// TestFlippedFrame changes each bit of a frame, and of a header: none is read.
func TestFlippedFrame(t *testing.T) {
	frame := disk.AppendFrame(nil, 3, []byte("payload"))
	header := disk.AppendHeader(nil, disk.FileHeader{Kind: disk.KindBlock, Version: 1, Salt: disk.NewSalt()})
	for _, test := range []struct {
		what string
		data []byte
		read func([]byte) error
	}{
		{"frame", frame, func(b []byte) error { _, _, _, err := disk.ReadFrame(b); return err }},
		{"header", header, func(b []byte) error { _, err := disk.ReadHeader(b, disk.KindBlock, 1); return err }},
	} {
		if err := test.read(test.data); err != nil {
			t.Errorf("%s: %v", test.what, err)
		}
		for bit := range 8 * len(test.data) {
			changed := bytes.Clone(test.data)
			changed[bit/8] ^= 1 << (bit % 8)
			if err := test.read(changed); !errors.Is(err, disk.ErrCorrupt) && !errors.Is(err, disk.ErrShortFrame) {
				t.Errorf("%s with bit %d changed: %v", test.what, bit, err)
			}
		}
	}
}

func TestHeader(t *testing.T) {
	salt := disk.NewSalt()
	if salt == disk.NewSalt() || salt == [disk.SaltSize]byte{} {
		t.Error("salts are not random")
	}
	for _, kind := range []disk.FileKind{disk.KindSegment, disk.KindBlock, disk.KindCheckpoint} {
		h := disk.FileHeader{Kind: kind, Version: 3, Salt: salt}
		b := disk.AppendHeader([]byte("x"), h)[1:]
		if len(b) != disk.HeaderSize {
			t.Fatalf("%d bytes", len(b))
		}
		if got, err := disk.ReadHeader(append(b, "more"...), kind, 3); err != nil || got != h {
			t.Errorf("%v came back as %+v, %v", kind, got, err)
		}
		if _, err := disk.ReadHeader(b, kind, 2); !errors.Is(err, disk.ErrVersion) || errors.Is(err, disk.ErrCorrupt) {
			t.Errorf("a newer version: %v", err)
		}
		if _, err := disk.ReadHeader(b, kind%3+1, 3); !errors.Is(err, disk.ErrCorrupt) {
			t.Errorf("another kind: %v", err)
		}
		if _, err := disk.ReadHeader(b[:disk.HeaderSize-1], kind, 3); !errors.Is(err, disk.ErrShortFrame) {
			t.Errorf("cut off: %v", err)
		}
	}
	zero := disk.AppendHeader(nil, disk.FileHeader{Kind: disk.KindBlock})
	if _, err := disk.ReadHeader(zero, disk.KindBlock, 1); !errors.Is(err, disk.ErrCorrupt) {
		t.Errorf("version 0: %v", err)
	}
	if b := disk.AppendHeader(nil, disk.FileHeader{Kind: disk.KindSegment, Version: 1}); string(b[:12]) != "HOKANSEG\x01\x00\x01\x00" {
		t.Errorf("header begins with %q", b[:12])
	}
}

// FuzzRead reads arbitrary bytes as a frame and as a header: what is accepted
// is what writing gives.
func FuzzRead(f *testing.F) {
	f.Add(disk.AppendFrame(nil, 1, []byte("payload")))
	f.Add(disk.AppendHeader(nil, disk.FileHeader{Kind: disk.KindSegment, Version: 1}))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if payload, number, size, err := disk.ReadFrame(b); err == nil {
			if !bytes.Equal(disk.AppendFrame(nil, number, payload), b[:size]) {
				t.Errorf("frame %d of %d bytes is not what is written", number, size)
			}
		}
		if h, err := disk.ReadHeader(b, disk.KindSegment, 5); err == nil {
			if !bytes.Equal(disk.AppendHeader(nil, h), b[:disk.HeaderSize]) {
				t.Error("the header is not what is written")
			}
		}
	})
}
