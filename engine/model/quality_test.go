package model_test

import (
	"math"
	"testing"

	"github.com/hokan-db/hokan/engine/model"
)

func TestQualities(t *testing.T) {
	words := map[model.Quality]string{model.QualityOver: "over", model.QualityUnder: "under",
		model.QualityBurnout: "burnout", model.QualityNoData: "nodata", model.QualityMath: "math"}
	for q, word := range words {
		v := q.NaN()
		if !math.IsNaN(v) || model.QualityOf(v) != q || q.String() != word {
			t.Errorf("%s: %x is %s", word, math.Float64bits(v), model.QualityOf(v))
		}
		narrow := float32(v)
		if got := float64(narrow); math.Float64bits(got) != math.Float64bits(v) {
			t.Errorf("%s through float32: %x became %x", word, math.Float64bits(v), math.Float64bits(got))
		}
		if bits := math.Float64bits(v); bits != 0x7FFD6B4000000000|uint64(q)<<29 {
			t.Errorf("%s is stored as %x", word, bits)
		}
		for _, near := range []uint64{1, 1 << 28, 1 << 37, 1 << 50, 1 << 63} { // flipped
			if got := model.QualityOf(math.Float64frombits(math.Float64bits(v) ^ near)); got != model.QualityUnknown {
				t.Errorf("%s with bit %x flipped is %s", word, near, got)
			}
		}
	}
	for bits, want := range map[uint64]model.Quality{
		0x7FF0000000000002: model.QualityNoData, // Prometheus' stale marker
		0x7FF8000000000001: model.QualityUnknown, 0x7FF8000000000000: model.QualityUnknown,
		0xFFF8000000000000: model.QualityUnknown, 0x7FFD6B4000000000: model.QualityUnknown,
		0x7FFD6B4000000000 | 6<<29: model.QualityUnknown, 0x7FFD6B4000000000 | 255<<29: model.QualityUnknown,
		0x7FF0000000000000: model.QualityNone, 0xFFF0000000000000: model.QualityNone, 0: model.QualityNone, 1 << 63: model.QualityNone,
	} {
		if got := model.QualityOf(math.Float64frombits(bits)); got != want {
			t.Errorf("%x is %s, want %s", bits, got, want)
		}
	}
	if v := model.QualityUnknown.NaN(); !math.IsNaN(v) || model.QualityOf(v) != model.QualityUnknown {
		t.Error("unknown")
	}
	if model.QualityNone.String() != "" || model.QualityUnknown.String() != "NaN" || model.Quality(77).String() != "NaN" {
		t.Error("words")
	}
}
