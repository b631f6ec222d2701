package api

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/hokan-db/hokan/engine/model"
)

func TestAnswersReadBack(t *testing.T) {
	a := openAPI(t)
	write(t, a, "1", []int64{0, 1e9, 2e9, 3e9}, []float64{0.1, math.Copysign(0, -1), math.Inf(-1), model.QualityBurnout.NaN()})
	write(t, a, "2", []int64{0}, []float64{math.Inf(1)})
	back := func(body any, err error, into any) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		text, err := AppendBody(nil, body)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, into); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		again, err := AppendBody(nil, into)
		if err != nil || string(again) != string(text) {
			t.Errorf("read back as\n%s\nwritten as\n%s (%v)", again, text, err)
		}
	}
	channels, err := a.Channels(ctx, tenant, Selection{})
	back(channels, err, &ChannelsBody{})
	latest, err := a.Latest(ctx, tenant, Selection{})
	back(latest, err, &LatestBody{})
	view, err := a.View(ctx, tenant, ViewRequest{Buckets: 7})
	back(view, err, &ViewBody{})
	table, err := a.Table(ctx, tenant, TableRequest{})
	back(table, err, &TableBody{})
	for _, text := range []string{`"broken"`, `[1]`, `true`, `{}`} {
		if err := json.Unmarshal([]byte(text), &Value{}); err == nil {
			t.Errorf("%s is read as a value", text)
		}
	}
	if err := json.Unmarshal([]byte(`[[1],[1,2]]`), &Rows{}); err == nil {
		t.Error("rows of different lengths are read")
	}
}
