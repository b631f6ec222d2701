package server

import (
	"bytes"
	endian "encoding/binary"
	"hash/crc32"
	"io"
	"runtime"
	"sync"

	"github.com/klauspost/compress/flate"
)

// parallelGzip writes one gzip member (RFC 1952) whose pieces were compressed
// each by itself, several at a time. What a piece could have taken from the one
// before it is lost: 1 % of the size.
type parallelGzip struct {
	to      io.Writer
	pending []byte // not yet compressed, less than fits
	fits    int    // bytes that are compressed at once
	begun   bool   // the header is sent
	crc     uint32 // CRC-32 of all that was written
	size    uint32 // of it in bytes, modulo 2^32
}

// gzipPiece is how many bytes one core compresses at a time.
const gzipPiece = 128 << 10

// gzipLevel: the next one takes three times as long for 3 % less.
const gzipLevel = 6

// Reset makes the writer begin anew.
func (g *parallelGzip) Reset(to io.Writer) {
	*g = parallelGzip{to: to, pending: g.pending[:0], fits: gzipPiece * runtime.GOMAXPROCS(0)}
}

// Write implements io.Writer.
func (g *parallelGzip) Write(b []byte) (n int, err error) {
	g.crc = crc32.Update(g.crc, crc32.IEEETable, b)
	g.size += uint32(len(b))
	for len(b) > 0 {
		fitting := min(len(b), g.fits-len(g.pending))
		g.pending = append(g.pending, b[:fitting]...)
		b, n = b[fitting:], n+fitting
		if len(g.pending) == g.fits {
			if err := g.pack(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// Close ends the member.
func (g *parallelGzip) Close() error {
	if err := g.pack(); err != nil {
		return err
	}
	end := []byte{1, 0, 0, 0xff, 0xff} // the last block: stored, 0 bytes
	end = endian.LittleEndian.AppendUint32(end, g.crc)
	_, err := g.to.Write(endian.LittleEndian.AppendUint32(end, g.size))
	return err
}

// deflated is a compressor with what it made.
type deflated struct {
	writer *flate.Writer
	text   bytes.Buffer
}

var deflaters = sync.Pool{New: func() any {
	w, _ := flate.NewWriter(nil, gzipLevel) // fails only for a level that there is not
	return &deflated{writer: w}
}}

// pack compresses what is pending, in as many parts as there are cores, and
// sends it.
func (g *parallelGzip) pack() error {
	var head []byte
	if !g.begun {
		g.begun = true
		head = []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255} // deflate; no name, time or system
	}
	if _, err := g.to.Write(head); err != nil {
		return err
	}
	each := max(1, (len(g.pending)+runtime.GOMAXPROCS(0)-1)/runtime.GOMAXPROCS(0))
	var made []*deflated
	var done sync.WaitGroup
	for rest := g.pending; len(rest) > 0; {
		piece := rest[:min(each, len(rest))]
		rest = rest[len(piece):]
		d := deflaters.Get().(*deflated)
		made = append(made, d)
		done.Go(func() { d.make(piece) })
	}
	done.Wait()
	var err error
	for _, d := range made {
		if err == nil {
			_, err = g.to.Write(d.text.Bytes())
		}
		deflaters.Put(d)
	}
	g.pending = g.pending[:0]
	return err
}

// make compresses a piece into blocks that end at a whole byte and that others
// can follow. A buffer refuses nothing.
func (d *deflated) make(piece []byte) {
	d.text.Reset()
	d.writer.Reset(&d.text)
	_, _ = d.writer.Write(piece)
	_ = d.writer.Flush()
}
