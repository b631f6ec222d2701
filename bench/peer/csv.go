package peer

import (
	"io"
	"strconv"
)

// csvWriter writes lines of channel, time in milliseconds and value, for a
// store that hands out samples in this process.
type csvWriter struct {
	to     io.Writer
	number func(dst []byte, v float64) []byte // writes a value
	buffer []byte
}

// csvBuffer is how many bytes are collected before they are written.
const csvBuffer = 64 << 10

func exportRaw(s Store, w io.Writer, channels []int, from, to int64, number func([]byte, float64) []byte) error {
	c := csvWriter{to: w, number: number, buffer: make([]byte, 0, csvBuffer+csvBuffer/4)}
	if err := s.Raw(channels, from, to, c.add); err != nil {
		return err
	}
	return c.flush()
}

func (c *csvWriter) add(channel int, times []int64, values []float64) error {
	for i, t := range times {
		c.buffer = strconv.AppendInt(c.buffer, int64(channel), 10)
		c.buffer = append(c.buffer, ',')
		c.buffer = strconv.AppendInt(c.buffer, t, 10)
		c.buffer = append(c.buffer, ',')
		c.buffer = append(c.number(c.buffer, values[i]), '\n')
		if len(c.buffer) >= csvBuffer {
			if err := c.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *csvWriter) flush() error {
	_, err := c.to.Write(c.buffer)
	c.buffer = c.buffer[:0]
	return err
}

// shortest writes the shortest decimal that reads back as v.
func shortest(dst []byte, v float64) []byte { return strconv.AppendFloat(dst, v, 'f', -1, 64) }
