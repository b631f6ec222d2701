// Package chunk turns rows of one channel into bytes and back, bit for bit. It
// does no I/O.
//
// Heads hold a stream that grows row by row (Encode, Decode and Stream; see
// gorilla.go). Blocks hold columns, times and values apart (Encoder, Decoder):
//
//	values ── mode ──► integers ── predictor ──► residuals ── coder ──► bytes
//	                 times ── line ──► integers ── …
//
// A mode says how floats are integers: a reading of 21.7 degrees is 217 tenths.
// A predictor says what an integer is expected to be, the one before or where
// the last two point to; what is left are small residuals. A coder writes these:
// packed at one width with exceptions, as letters of a Huffman code above random
// low bits, as zstd of what repeats, or as runs. Everything is exact: the encoder
// looks at a sample, makes a plan, and compares each row with what the decoder
// will make of it. Rows that a mode cannot tell, such as those without a number,
// are exceptions, which cost nothing where there are none.
//
// Where to read on: values.go, times.go, integers.go, symbols.go and pack.go
// have the bytes and the decoder; decimal.go how integers become the right floats
// without a division; fold.go how buckets are aggregated without making floats;
// encoder.go, plan.go, the append files and cost.go how the encoder chooses.
//
// # Sizes
//
// Bits a value in chunks of 8,192 rows, of the instrument mix and of real files
// (see chunktest), in the two forms; bits a time in the small one. The figures
// of VictoriaMetrics 1.150, of pco 0.4.2 at level 8 and of the prototype are
// from a study of codecs on the same data; with * VictoriaMetrics does not give
// every bit back.
//
//	class or set                rows Victoria      pco prototype    fast   small    times
//	temperature               491520    2.59      3.03      2.10    2.86    2.09    0.335
//	voltage                   327680    6.27      6.77      6.04    6.71    6.03    0.335
//	energy                    245760    3.49      3.83      2.99    3.71    2.98    0.439
//	status                    163840    0.27      0.54      0.15    0.15    0.14    0.333
//	resistance                163840    3.89      4.18      3.57    4.34    3.56    0.335
//	float32noise              163840   54.28*    22.63     22.62   25.32   22.51    0.334
//	fullmantissa               81920   50.12*    50.20     51.02   51.02   50.14    0.646
//	the mix                  1638400   10.91*     8.08      7.47    8.29    7.41    0.366
//	airquality                121641    8.10      8.70      7.68    9.04    7.53    0.038
//	alp_samples                 6144   19.89*    19.71     17.98   19.46   15.94    0.094
//	battery_bdf               127236    2.35*     6.79      6.78   25.48    4.60    0.127
//	battery_neware            190365    2.47      3.43      2.95    4.94    2.05    0.958
//	city_temperature          131072    6.74      7.72      6.88   10.59    6.70    0.017
//	ett                       121940   20.31*    11.44      7.38   15.41    6.43    0.030
//	hioki_lr8400_en           166400    2.41      3.06      2.18    2.87    2.17    0.020
//	hioki_lr8431_ja           104676    6.67      5.19      4.69    9.34    4.68    0.029
//	keyence_nr500              79470    2.32      3.14      1.92    2.94    1.87    0.036
//	nab                        45009   23.29*    29.24     26.24   21.04   19.19    0.133
//	occupancy                  48858   10.26*     8.96      7.55   37.76    6.98    0.060
//	skab                       86710   13.23     11.78     11.20   14.39   10.76    0.307
//	vibration_fan             459000   10.77      9.10      8.19   10.67    7.40    0.016
//	waveform_multi counts     300000    8.60      7.77      7.54   10.94    7.37    0.017
//	waveform_multi phys       300000   18.35*     8.24      8.67   11.16    7.45    0.017
//	weather_bdg                51846    3.20      3.13      2.87    5.17    2.56    1.917
//	weather_midc               21600    9.04*    10.53      9.44   13.15    8.53    0.072
//	the real files           2361967    9.57*     7.85      7.10   11.21    6.33    0.158
//
// # What each part is worth
//
// By how many percent columns grow where an encoder has to do without one of its
// parts: values of the mix, of the real files, and of the class or set that
// loses the most; times; and values in the fast form. A part that is not worth
// one percent anywhere goes. The command that measures it:
//
//	HOKAN_DATA=… go test ./engine/chunk -run TestLedger -v -rewrite-ledger
//
// The table:
//
//	without                        mix    real    most                          times   times    fast    fast
//	                                                                              mix    real     mix    real
//	predictor slope               6.74    3.37  111.66 energy                    0.00    0.81    5.97    1.95
//	mode float32                 18.04    0.00   59.39 float32noise              0.00    0.00   17.41    0.00
//	coder zstd                    0.00    2.98   55.04 battery_bdf               0.00   48.01    0.00    0.00
//	mode dictionary               0.00    7.64   52.79 occupancy                 0.00    0.00    0.00    0.00
//	mode near                     0.00    4.01   50.05 nab                       0.00    0.00    0.00   23.41
//	coder runs                    0.09    0.07   45.25 status                   -0.24    1.51    0.34    0.42
//	coder symbols                11.29   20.57   37.40 waveform_multi counts    25.64    2.01    0.00    0.00
//	low bits below symbols        4.68   15.07   33.89 waveform_multi counts     0.00    0.00    0.00    0.00
//	predictor delta               5.13    3.00   26.22 hioki_lr8400_en           0.00   11.41    5.15    2.45
//	mode decimal                  0.07    1.35   19.94 battery_bdf               0.00    0.00    0.10    8.56
//	modes product and quotient    0.00    2.78   18.57 waveform_multi phys       0.00    0.00    0.00   43.06
//	factor                       -0.00    0.66   16.82 hioki_lr8431_ja           0.15   23.39    0.36    3.47
//	symbols for groups            0.47    0.15    5.14 temperature              -0.01    0.01    0.00    0.00
//	patches                       0.06    0.64    1.61 status                    0.00    0.15    6.81   23.15
//	times line                    0.00    0.00    0.00 temperature              13.86    3.39    0.00    0.00
package chunk

import "errors"

// Encoding numbers the forms that a chunk's bytes may have. The numbers are
// part of the block format and are never given another meaning.
type Encoding uint8

// Gorilla is a stream of XORed values and differences of time differences, in
// the manner of Pelkonen et al., VLDB 2015. gorilla.go has the bytes.
const Gorilla Encoding = 1

// Fast and Small are adaptive columns, times and values apart. Both have the
// same decoder: the name says how hard the encoder looked for a short form.
const (
	Fast  Encoding = 2
	Small Encoding = 3
)

// String returns the encoding's name.
func (e Encoding) String() string {
	switch e {
	case Gorilla:
		return "gorilla"
	case Fast:
		return "fast"
	case Small:
		return "small"
	}
	return "unknown"
}

// ErrCorrupt is wrapped by every refusal of bytes that Encode did not make.
var ErrCorrupt = errors.New("corrupt chunk")
