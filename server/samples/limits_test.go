package samples_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/server/api"
)

// TestChannelLimits writes more channels than there may be: those that exist
// flow on, each refused sample is counted, and the first of each channel named.
func TestChannelLimits(t *testing.T) {
	w := openWriter(t)
	write := func(text string) (*api.SamplesBody, error) {
		t.Helper()
		return w.Write(ctx, tenant, "application/json", "", strings.NewReader(text))
	}
	if _, err := write(`{"times":[1,2],"channels":[{"labels":{"instrument":"i","channel":"a"},"values":[1,2]}]}`); err != nil {
		t.Fatal(err)
	}
	if err := w.To.DB.SetQuota(tenant, policy.Quota{Channels: 3, ChannelsPerInstrument: 2}); err != nil {
		t.Fatal(err)
	}
	answer, err := write(`{"times":[3,4],"channels":[
		{"labels":{"instrument":"i","channel":"b"},"values":[1,2]},
		{"labels":{"instrument":"i","channel":"gap"},"values":[null,null]},
		{"labels":{"instrument":"i","channel":"c"},"values":[3,4]},
		{"labels":{"instrument":"j","channel":"a"},"values":[5,6]},
		{"labels":{"instrument":"i","channel":"a"},"values":[7,8]},
		{"labels":{"instrument":"k","channel":"a"},"values":[9,null]}]}`)
	if err != nil {
		t.Fatal(err)
	}
	reasons := map[string]int64{"instrument_limit": 2, "channel_limit": 1}
	if answer.Accepted != 6 || answer.Rejected != 3 || !maps.Equal(answer.Reasons, reasons) {
		t.Errorf("accepted %d, rejected %d: %v", answer.Accepted, answer.Rejected, answer.Reasons)
	}
	if len(answer.Errors) != 2 || answer.Errors[0].Channel != 2 || answer.Errors[0].Code != "instrument_limit" ||
		answer.Errors[1].Channel != 5 || answer.Errors[1].Code != "channel_limit" {
		t.Errorf("errors %+v", answer.Errors)
	}
	for i, says := range []string{" may, 2 (hokan tenant set --channels-per-instrument);", " may be, 3 (hokan tenant set --channels);"} {
		if !strings.Contains(answer.Errors[i].Detail, says) {
			t.Errorf("%q does not say %q", answer.Errors[i].Detail, says)
		}
	}
	answer, err = write(`{"times":[5],"channels":[{"labels":{"instrument":"k","channel":"a"},"values":[1]}]}`)
	if codeOf(err) != "nothing_accepted" || answer == nil || answer.Rejected != 1 {
		t.Errorf("nothing but a channel too many: %v, %+v", err, answer)
	}
	if got := contents(t, w); strings.Contains(got, "\"c\"") || strings.Contains(got, "\"k\"") {
		t.Errorf("refused channels are there: %s", got)
	}
	if err := w.To.DB.SetWriteBlock(tenant, engine.ErrOverQuota); err != nil {
		t.Fatal(err)
	}
	if _, err = write(`{"times":[5],"channels":[{"labels":{"instrument":"i","channel":"a"},"values":[1]}]}`); codeOf(err) != "over_quota" {
		t.Errorf("blocked: %v", err)
	}
	if err := w.To.DB.SetWriteBlock(tenant, nil); err != nil {
		t.Fatal(err)
	}
	if _, err = write(`{"times":[5],"channels":[{"labels":{"instrument":"i","channel":"a"},"values":[1]}]}`); err != nil {
		t.Errorf("unblocked: %v", err)
	}
}
