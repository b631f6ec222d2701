package model_test

import (
	"testing"

	"github.com/hokan-db/hokan/engine/model"
)

func BenchmarkDecodeLabels(b *testing.B) {
	l, err := model.NewLabels(model.Label{Name: "instrument", Value: "LR8450-000123"},
		model.Label{Name: "channel", Value: "CH12-3"}, model.Label{Name: "site", Value: "tokyo"})
	if err != nil {
		b.Fatal(err)
	}
	encoded := []byte(l.Encoded())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := model.DecodeLabels(encoded); err != nil {
			b.Fatal(err)
		}
	}
}
