package chunk

import "encoding/binary"

// Pages hands out the memory that streams grow in: pieces of slabs, which are
// plain memory that goes when no Pages and no View refers to it. Single pages
// are never given back. The zero value is ready for use and has room for 32 GiB.
// Every stream belongs to one Pages; its writers are serialised by the caller.
//
// A page is 4 bytes of address of the page after it, 2 bytes of length in use,
// 2 bytes without meaning, and then the stream's bytes. The first two are
// written when the stream goes on to the next page, so a page's header means
// nothing as long as it is the last one.
type Pages struct {
	slabs [][]byte
	next  uint32 // address of the first free byte of the last slab
	free  uint32 // bytes free there
	used  int    // bytes handed out

	expected uint32 // length of the next slab, if it is more than it would be
}

// An address counts units of 8 bytes: slab<<slabBits | place in the slab.
const (
	addressUnit = 8
	slabBits    = 15
	firstSlab   = 1 << 10
	maxSlab     = addressUnit << slabBits // 256 KiB: a multiple of the machine's pages
	pageHeader  = 8
	firstPage   = 64 // bytes with header
	largestPage = 512
	pageGrowth  = 16
)

// Bytes returns the number of bytes in pages handed out.
func (p *Pages) Bytes() int { return p.used }

// Expect says that about so many bytes are to be taken at once, so that they
// come in one piece.
func (p *Pages) Expect(bytes int) {
	p.expected = uint32(min((bytes+addressUnit-1)/addressUnit*addressUnit, maxSlab))
}

// take returns the address of a new page of size bytes.
func (p *Pages) take(size uint32) uint32 {
	if size > p.free {
		// Slabs grow with what is there, so that neither small heads nor large
		// ones waste more than a quarter: there are ten thousand of them.
		slab := max(firstSlab, p.expected)
		for slab < maxSlab && (slab < size || int(slab)*2 <= p.used/4) {
			slab *= 2
		}
		slab = min(slab, maxSlab)
		p.expected = 0
		p.next, p.free = uint32(len(p.slabs))<<slabBits, slab
		p.slabs = append(p.slabs, make([]byte, slab))
	}
	address := p.next
	p.next += size / addressUnit
	p.free -= size
	p.used += int(size)
	return address
}

// at returns the memory from byte offset of a page's data to the end of its
// slab.
func at(slabs [][]byte, address uint32, offset uint16) []byte {
	return slabs[address>>slabBits][int(address&(1<<slabBits-1)*addressUnit)+pageHeader+int(offset):]
}

// header returns what the page at an address, which is not a stream's last
// one, says of itself.
func header(slabs [][]byte, address uint32) (next uint32, used uint16) {
	h := slabs[address>>slabBits][address&(1<<slabBits-1)*addressUnit:]
	return binary.LittleEndian.Uint32(h), binary.LittleEndian.Uint16(h[4:])
}

func (p *Pages) putHeader(address, next uint32, used uint16) {
	h := p.slabs[address>>slabBits][address&(1<<slabBits-1)*addressUnit:]
	binary.LittleEndian.PutUint32(h, next)
	binary.LittleEndian.PutUint16(h[4:], used)
}
