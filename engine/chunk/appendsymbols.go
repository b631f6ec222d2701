package chunk

import (
	"encoding/binary"
	"slices"
	"sync"

	"github.com/klauspost/compress/huff0"
	"github.com/klauspost/compress/zstd"
)

// symbolPlan says how to make symbols of residuals.
type symbolPlan struct {
	low     uint
	letters []letter // ascending, at most maxLetters
	cost    int      // in bits
}

const (
	// sampleLetters is how many letters a sample may have at the first number
	// of low bits that is tried.
	sampleLetters = 128
	sampleRows    = 512
	widerTried    = 3
	// mostGrouped is how many letters there may be in symbols for two residuals.
	mostGrouped = 16
	// patchBits is about what a residual costs that has no letter, groupPatchBits
	// what it costs where its group has letters for all others.
	patchBits      = 32
	groupPatchBits = 20
	// mostPatches and mostGroupPatches are how many residuals there must be to one
	// patch, so that patches stay as rare as they are taken to be.
	mostPatches      = 16
	mostGroupPatches = 24
	// symbolsBits is what symbols cost besides letters and code: heads, and the
	// least of tables. letterBits is what each letter adds to the Huffman table
	// where letters are many, groupLetterBits where they are of groups, whose
	// weights are more irregular.
	symbolsBits     = 160
	letterBits      = 3
	groupLetterBits = 4
	// groupLoss is how many residuals there are to a bit that codes of groups
	// take above the entropy.
	groupLoss = 32
	// fewLetters is with how many there is nothing to gain from more low bits.
	fewLetters = 24
)

// planSymbols chooses how many low bits to leave to packing. It reports false
// where the residuals have too many letters.
func (e *Encoder) planSymbols(residuals []int64, share int) (symbolPlan, bool) {
	n := len(residuals)
	if n < 64 || !e.may(partSymbols) {
		return symbolPlan{}, false
	}
	low := e.firstLowBits(residuals)
	for tries := 0; !e.histogram.count(residuals, low, histogramMost); tries++ {
		if low++; tries > 4 || low > maxLowBits {
			return symbolPlan{}, false
		}
	}
	if low > 0 && !e.may(partLowBits) {
		return symbolPlan{}, false
	}
	letters := e.histogram.letters(e.letters[0][:0])
	e.letters[0] = letters
	best, found := symbolPlan{}, false
	for range widerTried {
		plan := e.priceSymbols(letters, low, n, share)
		if plan.cost > 0 && (!found || plan.cost < best.cost) {
			e.letters[1] = append(e.letters[1][:0], plan.letters...)
			plan.letters = e.letters[1]
			best, found = plan, true
		}
		if len(letters) < fewLetters || low == maxLowBits || !e.may(partLowBits) {
			break
		}
		letters = widen(letters)
		low++
	}
	return best, found
}

// firstLowBits returns the fewest low bits with which a sample has few letters.
func (e *Encoder) firstLowBits(residuals []int64) uint {
	sample := residuals
	if n := len(residuals); n > sampleRows {
		sample = residuals[(n-sampleRows)/2:][:sampleRows]
	}
	few, many := uint(0), -1 // bits with which there are few letters, or too many
	if !e.histogram.count(sample, 0, sampleLetters) {
		for few, many = maxLowBits, 0; int(few) > many+1; {
			middle := (int(few) + many) / 2
			if e.histogram.count(sample, uint(middle), sampleLetters) {
				few = uint(middle)
			} else {
				many = middle
			}
		}
	}
	return few
}

// priceSymbols returns what symbols for n residuals with such letters cost. The
// plan's letters are in scratch memory. No cost means that it cannot be done.
func (e *Encoder) priceSymbols(letters []letter, low uint, n, share int) symbolPlan {
	counts, rare := e.counts[:0], 0
	if len(letters) > maxLetters { // the rarest become patches
		for _, l := range letters {
			counts = append(counts, l.count)
		}
		slices.Sort(counts)
		rare = counts[len(counts)-maxLetters] + 1
		counts = counts[:0]
	}
	kept, keptRows := e.letters[2][:0], 0
	for _, l := range letters {
		if l.count >= rare {
			kept = append(kept, l)
			counts = append(counts, l.count)
			keptRows += l.count
		}
	}
	e.letters[2], e.counts = kept, counts
	patches := n - keptRows
	if patches > n/mostPatches || len(kept) == 0 {
		return symbolPlan{}
	}
	span := uint64(kept[len(kept)-1].value - kept[0].value)
	gapBits := int(bitWidth(span / uint64(len(kept)))) // from a letter to the next, on average
	table := symbolsBits + len(kept)*(letterBits+gapBits)
	cost := table/share + 8*packedSize(n, low) + patches*patchBits
	if low == 0 && len(counts) <= mostGrouped && e.may(partGroups) {
		cost += entropyBits(counts, n) + n/groupLoss
	} else {
		cost += huffmanBits(counts)
	}
	return symbolPlan{low, kept, cost}
}

// appendSymbols appends residuals by a plan. It reports whether there are
// patches, and whether it was done: huff0 refuses what it cannot make shorter.
func (e *Encoder) appendSymbols(dst []byte, residuals []int64, plan symbolPlan) (_ []byte, patched, done bool) {
	e.codesOf(residuals, plan)
	group := uint(0)
	if plan.low == 0 && e.may(partGroups) {
		group = e.chooseGroup(&plan)
	}
	dst = append(dst, byte(plan.low)|byte(group)<<groupShift, byte(len(plan.letters)-1))
	dst = e.appendLetters(dst, plan.letters)
	codes := e.codes
	e.patches = e.patches[:0]
	if group > 0 {
		codes = e.groupSymbols(residuals, plan, group)
	} else {
		for i, code := range codes {
			if residuals[i]>>plan.low != plan.letters[code].value {
				e.patches = append(e.patches, i)
			}
		}
	}
	if len(e.patches) > 0 {
		dst = e.appendPatches(dst, residuals, 0)
	}
	if dst, done = e.appendHuffman(dst, codes); done {
		dst = appendPacked(dst, residuals, 0, plan.low)
	}
	return dst, len(e.patches) > 0, done
}

// codesOf fills e.codes with the number of each residual's letter, 0 where it
// has none.
func (e *Encoder) codesOf(residuals []int64, plan symbolPlan) {
	e.codes = resized(e.codes, len(residuals))
	codes := e.codes
	smallest := plan.letters[0].value
	span := uint64(plan.letters[len(plan.letters)-1].value - smallest)
	if span < uint64(len(e.direct)) {
		direct := e.direct[:span+1]
		clear(direct)
		for code, l := range plan.letters {
			direct[l.value-smallest] = uint8(code)
		}
		for i, r := range residuals {
			codes[i] = 0
			if at := uint64(r>>plan.low - smallest); at <= span {
				codes[i] = direct[at]
			}
		}
		return
	}
	h := &e.histogram
	h.reset()
	for code, l := range plan.letters {
		slot := h.slot(l.value)
		h.keys[slot], h.counts[slot], h.codes[slot] = l.value, 1, uint8(code)
		h.used = append(h.used, uint16(slot))
	}
	for i, r := range residuals {
		codes[i] = 0
		if slot := h.slot(r >> plan.low); h.counts[slot] != 0 {
			codes[i] = h.codes[slot]
		}
	}
}

// chooseGroup returns into groups of how many residuals (as a power of two) the
// codes should be put, and leaves only the letters in the plan that may then
// be used.
func (e *Encoder) chooseGroup(plan *symbolPlan) uint {
	n := len(e.codes)
	counts := make([]int, 0, maxLetters)
	for _, l := range plan.letters {
		counts = append(counts, l.count)
	}
	best, bestCost := uint(0), huffmanBits(counts)+groupLetterBits*len(counts)
	common := slices.Clone(plan.letters)
	slices.SortStableFunc(common, func(a, b letter) int { return b.count - a.count })
	for group := uint(1); group <= 3; group++ {
		most := 1 << (8 >> group) // letters
		kept := common[:min(most, len(common))]
		rows := 0
		for _, l := range kept {
			rows += l.count
		}
		if n-rows > n/mostGroupPatches {
			break
		}
		number := e.numbers(plan.letters, kept)
		cost := (n - rows) * groupPatchBits
		clear(e.groups[:])
		for i := 0; i < n; i += 1 << group {
			e.groups[groupCode(e.codes[i:min(i+1<<group, n)], &number, group)]++
		}
		counts = counts[:0]
		for _, count := range e.groups {
			if count > 0 {
				counts = append(counts, count)
			}
		}
		if cost += huffmanBits(counts) + groupLetterBits*len(counts); cost < bestCost {
			best, bestCost = group, cost
		}
	}
	if best > 0 {
		kept := slices.Clone(common[:min(1<<(8>>best), len(common))])
		slices.SortFunc(kept, letter.compare)
		e.number = e.numbers(plan.letters, kept)
		plan.letters = kept
	}
	return best
}

// numbers returns the number in kept of each letter, 0 for those not kept.
func (e *Encoder) numbers(letters, kept []letter) (number [maxLetters]uint8) {
	for i, k := range kept {
		at, _ := slices.BinarySearchFunc(letters, k, letter.compare)
		number[at] = uint8(i)
	}
	return number
}

func groupCode(codes []byte, number *[maxLetters]uint8, group uint) (code byte) {
	for i, c := range codes {
		code |= number[c] << (uint(i) * (8 >> group) & 7)
	}
	return code
}

// groupSymbols returns symbols for groups of residuals, and lists those that have
// no letter in e.patches.
func (e *Encoder) groupSymbols(residuals []int64, plan symbolPlan, group uint) []byte {
	grouped := e.grouped[:0]
	for i := 0; i < len(residuals); i += 1 << group {
		end := min(i+1<<group, len(residuals))
		grouped = append(grouped, groupCode(e.codes[i:end], &e.number, group))
		for row := i; row < end; row++ {
			if residuals[row] != plan.letters[e.number[e.codes[row]]].value {
				e.patches = append(e.patches, row)
			}
		}
	}
	e.grouped = grouped
	return grouped
}

// appendLetters appends the column of the letters.
func (e *Encoder) appendLetters(dst []byte, letters []letter) []byte {
	var values, gaps [maxLetters]int64
	for i, l := range letters {
		values[i] = l.value
	}
	residualsOf(gaps[:len(letters)], values[:len(letters)], predictDelta)
	plan := e.planPacked(gaps[:len(letters)])
	head := byte(predictDelta | coderPacked<<predictorBits)
	if e.findPatches(gaps[:len(letters)], plan); len(e.patches) > 0 {
		head |= headPatches
	}
	dst = append(dst, head)
	dst = appendVarint(dst, values[0]-gaps[0])
	dst = append(dst, byte(plan.width))
	dst = appendVarint(dst, plan.base)
	if len(e.patches) > 0 {
		dst = e.appendPatches(dst, gaps[:len(letters)], plan.base)
	}
	return appendPacked(dst, gaps[:len(letters)], plan.base, plan.width)
}

// fourStreams is from how many symbols on the code is in four streams.
const fourStreams = 512

// appendHuffman appends the symbols' code.
func (e *Encoder) appendHuffman(dst, codes []byte) ([]byte, bool) {
	e.huffman.Reuse = huff0.ReusePolicyNone
	compress, four := huff0.Compress1X, uint64(0)
	if len(codes) >= fourStreams {
		compress, four = huff0.Compress4X, 1
	}
	out, _, err := compress(codes, &e.huffman)
	switch err {
	case nil:
		dst = binary.AppendUvarint(dst, uint64(len(out))<<1|four)
		return append(dst, out...), true
	case huff0.ErrUseRLE:
		return append(dst, 0, codes[0]), true
	}
	return dst, false
}

const (
	recurringBits = 12
	// windowBits is how much information a window of residuals holds that
	// should hardly recur by chance.
	windowBits = 24
)

// recurs reports whether so many windows of residuals, which were coded in size
// bytes, occur more than once that zstd may do better.
func (e *Encoder) recurs(residuals []int64, size int) bool {
	n := len(residuals)
	if !e.may(partZstd) || n < 64 || size < 64 {
		return false
	}
	window := windowBits*n/(8*size) + 1
	if window > n/8 {
		return false
	}
	clear(e.recurring[:])
	recurring := 0
	windows := min(n/window, 1024)
	for i := range windows {
		hash := uint64(0)
		for _, r := range residuals[i*window : (i+1)*window] {
			hash = (hash ^ uint64(r)) * 0x9E3779B97F4A7C15
			hash ^= hash >> 29
		}
		slot := &e.recurring[hash>>(64-recurringBits)]
		if *slot == uint32(hash) {
			recurring++
		}
		*slot = uint32(hash)
	}
	return recurring > windows/16
}

// zstdOf returns a zstd frame of the residuals as varints.
func (e *Encoder) zstdOf(residuals []int64) []byte {
	encoder, err := zstdEncoder()
	if err != nil {
		return nil
	}
	e.zstdIn = e.zstdIn[:0]
	for _, r := range residuals {
		e.zstdIn = appendVarint(e.zstdIn, r)
	}
	e.zstdOut = encoder.EncodeAll(e.zstdIn, e.zstdOut[:0])
	return e.zstdOut
}

// zstdEncoder encodes for all Encoders. One column is always encoded by one
// goroutine, so that its bytes do not depend on the machine; as many columns at
// once as there are processors (0), since each takes some megabytes of tables.
// Who checks the bytes is the block's frame, not zstd.
var zstdEncoder = sync.OnceValues(func() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true), zstd.WithEncoderConcurrency(0))
})
