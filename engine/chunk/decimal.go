package chunk

import "math"

// scale turns integers into floats, by a factor that is known to about twice the
// precision of a float: high + low. What at makes of an integer is by definition
// its value, see values.go. With the factor 10^-k that is the float that a parser
// makes of a reading with k decimals, without a division: for |integer| < 2^53
// and k up to 15 the error of the product is far below the distance that
// integer/10^k keeps from the middle between two floats. Nothing depends on that
// argument, as the encoder compares every value with what at gives; it does not
// hold for every divisor, such as those next to the greatest float, whose low is
// too small to be precise.
type scale struct{ high, low float64 }

// dividing returns the scale whose factor is 1/divisor.
func dividing(divisor float64) scale {
	high := 1 / divisor
	return scale{high, math.FMA(-high, divisor, 1) / divisor}
}

func (s scale) at(integer int64) float64 {
	f := float64(integer)
	return math.FMA(f, s.high, float64(f*s.low))
}

// convert is at for each integer.
func (s scale) convert(dst []float64, integers []int64) {
	high, low := s.high, s.low
	dst = dst[:len(integers)]
	for i, x := range integers {
		f := float64(x)
		dst[i] = math.FMA(f, high, float64(f*low))
	}
}

// convertSums is sums and convert in one: it adds the differences up from last
// on, and returns where that ends.
func (s scale) convertSums(dst []float64, differences []int64, last int64) int64 {
	high, low := s.high, s.low
	dst = dst[:len(differences)]
	for i, d := range differences {
		last += d
		f := float64(last)
		dst[i] = math.FMA(f, high, float64(f*low))
	}
	return last
}

// convertSlopes is convertSums for differences of differences.
func (s scale) convertSlopes(dst []float64, residuals []int64, last, slope int64) (int64, int64) {
	high, low := s.high, s.low
	dst = dst[:len(residuals)]
	for i, r := range residuals {
		slope += r
		last += slope
		f := float64(last)
		dst[i] = math.FMA(f, high, float64(f*low))
	}
	return last, slope
}

// Scale is a factor that makes floats of integers, as columns of values do.
type Scale struct{ scale }

// DecimalScale returns the factor 10^-digits, for up to MaxDigits of them: At
// gives the float that is written with so many decimals.
func DecimalScale(digits int) Scale { return Scale{decimalScales[digits]} }

// BinaryScale returns the factor 2^-exponent, which must be a normal float.
func BinaryScale(exponent int) Scale { return Scale{scale{high: math.Ldexp(1, -exponent)}} }

// At returns the float that an integer stands for.
func (s Scale) At(integer int64) float64 { return s.at(integer) }

// MaxDigits is how many digits a decimal may have so that At is the nearest
// float, where the integer is within 2^53.
const MaxDigits = 15

// maxDigits is the largest power of ten that is a float.
const maxDigits = 22

var powersOfTen = [maxDigits + 1]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

var decimalScales = func() (s [maxDigits + 1]scale) {
	for digits, power := range powersOfTen {
		s[digits] = dividing(power)
	}
	return s
}()

// maxInteger is the bound of integers that are floats, with their neighbours.
const maxInteger = 1 << 53

// ordered maps the bits of a float to an integer, so that the integers are in
// the order of the floats. It is its own inverse.
func ordered(bits int64) int64 { return bits ^ int64(uint64(bits>>63)>>1) }

// inOrder returns the integer that stands for a float among others.
func inOrder(f float64) int64 { return ordered(int64(math.Float64bits(f))) }

// ordered32 is ordered for float32.
func ordered32(bits int32) int32 { return bits ^ int32(uint32(bits>>31)>>1) }
