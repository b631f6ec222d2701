// Package chunk turns rows of one channel into bytes and back, bit for bit:
// whole at once (Encode) or row by row in pages of memory (Stream). Both give
// the same bytes, so that one decoder reads them. It does no I/O.
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
//	airquality                121641    8.10      8.70      7.68    9.03    7.53    0.038
//	alp_samples                 6144   19.89*    19.71     17.98   19.46   15.94    0.094
//	battery_bdf               127236    2.35*     6.79      6.78   25.35    4.59    0.127
//	battery_neware            190365    2.47      3.43      2.95    6.05    2.05    0.958
//	city_temperature          131072    6.74      7.72      6.88   10.67    6.63    0.017
//	ett                       121940   20.31*    11.44      7.38   15.40    6.43    0.030
//	hioki_lr8400_en           166400    2.41      3.06      2.18    2.87    2.17    0.020
//	hioki_lr8431_ja           104676    6.67      5.19      4.69    9.36    4.68    0.029
//	keyence_nr500              79470    2.32      3.14      1.92    2.94    1.87    0.036
//	nab                        45009   23.29*    29.24     26.24   21.04   19.20    0.133
//	occupancy                  48858   10.26*     8.96      7.55   37.94    6.98    0.060
//	skab                       86710   13.23     11.78     11.20   14.35   10.75    0.307
//	vibration_fan             459000   10.77      9.10      8.19   10.66    7.40    0.016
//	waveform_multi counts     300000    8.60      7.77      7.54   11.08    7.37    0.017
//	waveform_multi phys       300000   18.35*     8.24      8.67   11.30    7.45    0.017
//	weather_bdg                51846    3.20      3.13      2.87    5.17    2.56    1.917
//	weather_midc               21600    9.04*    10.53      9.44   13.14    8.53    0.072
//	the real files           2361967    9.57*     7.85      7.10   11.33    6.33    0.158
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
//	predictor slope               6.74    3.38  111.66 energy                    0.00    0.81    5.97    0.79
//	mode float32                 18.04    0.00   59.39 float32noise              0.00    0.00   17.41    0.00
//	coder zstd                    0.00    3.06   55.42 battery_bdf               0.00   48.01    0.00    0.00
//	mode dictionary               0.00    7.38   52.74 occupancy                 0.00    0.00    0.00    0.00
//	mode near                     0.00    4.02   50.05 nab                       0.00    0.00    0.00   23.16
//	coder runs                    0.09    0.07   45.25 status                   -0.24    1.51    0.34    0.46
//	coder symbols                11.39   20.68   37.38 waveform_multi counts    25.64    2.01    0.00    0.00
//	low bits below symbols        4.78   15.14   34.12 waveform_multi counts     0.00    0.00    0.00    0.00
//	predictor delta               4.84    3.09   26.22 hioki_lr8400_en           0.00   11.41    5.28    3.41
//	mode decimal                  0.07    1.36   19.99 battery_bdf               0.00    0.00    0.10    8.42
//	modes product and quotient    0.00    2.79   18.66 waveform_multi phys       0.00    0.00    0.00   42.38
//	factor                       -0.00    0.66   16.82 hioki_lr8431_ja           0.15   23.39    0.36    3.43
//	symbols for groups            0.47    0.15    5.14 temperature              -0.01    0.01    0.00    0.00
//	patches                       0.06    0.63    1.61 status                    0.00    0.15    6.81   22.23
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
