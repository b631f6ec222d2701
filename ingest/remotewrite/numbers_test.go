package remotewrite

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/ingest/remotewrite/remotewritetest"
)

// Series are what their texts say while the numbers of texts are forgotten all
// the time, series are not, and other tenants have the same texts.
func TestNumbersThatAreForgotten(t *testing.T) {
	most := numbers.Most
	numbers.Most = 4000 // about ten texts
	defer func() { numbers.Most = most }()
	random := rand.New(rand.NewPCG(1, 2))
	var d Decoder
	for range 2000 {
		var sent []remotewritetest.Series
		var want []string
		for range 1 + random.IntN(6) {
			channel, instrument, zone := fmt.Sprint("m", random.IntN(9)), fmt.Sprint("i", random.IntN(9)), fmt.Sprint("m", random.IntN(9))
			help := fmt.Sprint("h", random.IntN(3))
			sent = append(sent, remotewritetest.Series{
				Labels: []string{"__name__", channel, "instance", instrument, "zone", zone}, Times: []int64{1}, Values: []float64{1}, Help: help,
			})
			want = append(want, fmt.Sprintf(`{channel=%q,instrument=%q,zone=%q} %s`, channel, instrument, zone, help))
		}
		tenant := model.Tenant([]string{"lake", "pond"}[random.IntN(2)])
		r, err := d.Decode(tenant, remotewritetest.Encode2(sent), Request2)
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range r.Channels {
			if got := fmt.Sprint(c.Labels, " ", c.Properties.Name); got != want[i] {
				t.Fatalf("series %d is %s, want %s", i, got, want[i])
			}
		}
	}
}

// Texts that are too long to be remembered are read each time.
func TestLongTexts(t *testing.T) {
	help, value := strings.Repeat("h", 3000), strings.Repeat("v", model.MaxLabelValueBytes)
	var d Decoder
	for range 3 {
		r, err := d.Decode("lake", remotewritetest.Encode2([]remotewritetest.Series{
			{Labels: []string{"__name__", "m", "zone", value}, Times: []int64{1}, Values: []float64{1}, Help: help},
			{Labels: []string{"__name__", "m", "zone", value + "v"}, Times: []int64{1}, Values: []float64{1}},
			{Labels: []string{"__name__", "m", "zone", "z"}, Times: []int64{1}, Values: []float64{1}, Unit: help},
		}), Request2)
		if err != nil {
			t.Fatal(err)
		}
		if c := r.Channels[0]; c.Refused != "" || c.Properties.Name != help[:1024] || len(c.Labels.String()) < 1024 {
			t.Errorf("%.50q %v", c.Refused, c.Labels)
		}
		if c := r.Channels[1]; !strings.Contains(c.Refused, "1025 bytes") {
			t.Errorf("refused: %.80q", c.Refused)
		}
		if c := r.Channels[2]; c.Refused != "" || c.Properties.Unit != help[:1024] {
			t.Errorf("%.50q %v", c.Refused, c.Properties)
		}
	}
}
