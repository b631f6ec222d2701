package model

import "math"

// Quality says why a row holds no number.
type Quality uint8

// The qualities. QualityNone is a number; QualityUnknown is any NaN that is not
// one of ours.
const (
	QualityNone    Quality = 0
	QualityOver    Quality = 1 // above the range
	QualityUnder   Quality = 2 // below the range
	QualityBurnout Quality = 3 // open sensor
	QualityNoData  Quality = 4
	QualityMath    Quality = 5 // a computation has no result
	QualityUnknown Quality = 255
)

// A quality is stored as a quiet NaN with qualityTag in bits 50..37 and the
// code in bits 36..29. Bits 28..0 are zero, so that it survives float32.
const (
	qualityTag   = 0x2B5A // 14 bits, arbitrary, never changed
	qualityBits  = 0x7FF8000000000000 | qualityTag<<37
	qualityMask  = 0xFFFFFFE000000000
	staleNaNBits = 0x7FF0000000000002 // Prometheus' stale marker
)

// NaN returns the value that stands for q in a value column.
func (q Quality) NaN() float64 {
	if q == QualityUnknown {
		return math.NaN()
	}
	return math.Float64frombits(qualityBits | uint64(q)<<29)
}

// QualityOf returns why v is no number, or QualityNone if it is one (infinities
// are numbers). A NaN that Hokan did not make is QualityUnknown, except
// Prometheus' stale marker, which is QualityNoData.
func QualityOf(v float64) Quality {
	if v == v {
		return QualityNone
	}
	b := math.Float64bits(v)
	if b&qualityMask == qualityBits && b&(1<<29-1) == 0 {
		if q := Quality(b >> 29); q >= QualityOver && q <= QualityMath {
			return q
		}
	}
	if b == staleNaNBits {
		return QualityNoData
	}
	return QualityUnknown
}

// String returns the word for q that JSON and CSV use.
func (q Quality) String() string {
	switch q {
	case QualityNone:
		return ""
	case QualityOver:
		return "over"
	case QualityUnder:
		return "under"
	case QualityBurnout:
		return "burnout"
	case QualityNoData:
		return "nodata"
	case QualityMath:
		return "math"
	}
	return "NaN"
}
