package block

import (
	"encoding/binary"
	"errors"

	"github.com/hokan-db/hokan/engine/model"
)

// channelCoder is what the entries of a channels page refer back to; zero at
// the start of a page.
type channelCoder struct {
	id        model.ChannelID
	labels    string
	validFrom int64
	texts     [5]string
	decimals  uint64
}

// decimalsBit marks a changed number of decimals; the bits below are texts.
const decimalsBit = 5

func textsOf(p *model.Properties) [5]string {
	return [5]string{p.Name, p.Unit, p.Scaling, p.Group, p.App}
}

func decimalsOf(p *model.Properties) uint64 {
	if !p.HasDecimals {
		return 0
	}
	return uint64(p.Decimals)<<1 | 1
}

// append encodes channel after those before.
func (c *channelCoder) append(dst []byte, channel *model.Channel) []byte {
	dst = binary.AppendUvarint(dst, uint64(channel.ID-c.id))
	c.id = channel.ID
	dst = appendText(dst, c.labels, channel.Labels.Encoded())
	c.labels = channel.Labels.Encoded()
	dst = binary.AppendUvarint(dst, uint64(len(channel.History)))
	for i := range channel.History {
		v := &channel.History[i]
		dst = binary.AppendVarint(dst, v.ValidFrom-c.validFrom)
		c.validFrom = v.ValidFrom
		texts, decimals := textsOf(&v.Properties), decimalsOf(&v.Properties)
		mask := len(dst)
		dst = append(dst, 0)
		for j := range texts {
			if texts[j] != c.texts[j] {
				dst[mask] |= 1 << j
				dst = appendText(dst, c.texts[j], texts[j])
			}
		}
		if decimals != c.decimals {
			dst[mask] |= 1 << decimalsBit
			dst = binary.AppendUvarint(dst, decimals)
		}
		c.texts, c.decimals = texts, decimals
	}
	return dst
}

var errChannels = errors.New("the channels page is damaged")

// next decodes the entry at in.
func (c *channelCoder) next(in *input) (model.Channel, error) {
	before := c.id
	c.id += model.ChannelID(in.uint32Varint())
	c.labels = in.text(c.labels)
	if in.failed || c.id <= before {
		return model.Channel{}, errChannels
	}
	labels, err := model.DecodeLabels([]byte(c.labels))
	if err != nil {
		return model.Channel{}, err
	}
	channel := model.Channel{ID: c.id, Labels: labels}
	if n := in.count(2); n > 0 {
		channel.History = make(model.History, n)
	}
	for i := range channel.History {
		if err := c.version(in, &channel.History[i]); err != nil {
			return model.Channel{}, err
		}
		if i > 0 && channel.History[i].ValidFrom <= channel.History[i-1].ValidFrom {
			return model.Channel{}, errChannels
		}
	}
	if in.failed {
		return model.Channel{}, errChannels
	}
	return channel, nil
}

func (c *channelCoder) version(in *input, v *model.PropertyVersion) error {
	c.validFrom += in.varint()
	mask := in.byte()
	for j := range c.texts {
		if mask&(1<<j) != 0 {
			c.texts[j] = in.text(c.texts[j])
		}
	}
	if mask&(1<<decimalsBit) != 0 {
		c.decimals = in.uvarint()
	}
	if in.failed || mask>>(decimalsBit+1) != 0 || c.decimals > 255<<1|1 || c.decimals&1 == 0 && c.decimals != 0 {
		return errChannels
	}
	t := &c.texts
	*v = model.PropertyVersion{ValidFrom: c.validFrom, Properties: model.Properties{
		Name: t[0], Unit: t[1], Scaling: t[2], Group: t[3], App: t[4],
		Decimals: uint8(c.decimals >> 1), HasDecimals: c.decimals&1 != 0,
	}}
	return nil
}

// appendText encodes text relative to before: channels of one instrument
// differ in a few bytes.
func appendText(dst []byte, before, text string) []byte {
	shortest := min(len(before), len(text))
	prefix := 0
	for prefix < shortest && before[prefix] == text[prefix] {
		prefix++
	}
	suffix := 0
	for suffix < shortest-prefix && before[len(before)-1-suffix] == text[len(text)-1-suffix] {
		suffix++
	}
	dst = binary.AppendUvarint(dst, uint64(prefix))
	dst = binary.AppendUvarint(dst, uint64(suffix))
	middle := text[prefix : len(text)-suffix]
	dst = binary.AppendUvarint(dst, uint64(len(middle)))
	return append(dst, middle...)
}

// text is the inverse of appendText. What it returns is at most as long as
// before and what is left to read together.
func (in *input) text(before string) string {
	prefix, suffix := in.uvarint(), in.uvarint()
	middle := in.bytes(in.uvarint())
	if n := uint64(len(before)); prefix > n || suffix > n-prefix {
		in.fail()
	}
	if in.failed {
		return ""
	}
	if len(middle) == 0 && prefix == uint64(len(before)) {
		return before
	}
	return before[:prefix] + string(middle) + before[uint64(len(before))-suffix:]
}
