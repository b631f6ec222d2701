package tenants_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/server/tenants"
)

// TestSweepsLeaveAlone: a sweep does not look at tenants of which nothing is due.
func TestSweepsLeaveAlone(t *testing.T) {
	w := newWorld(t)
	for i := range 500 {
		w.put(model.Tenant(fmt.Sprintf("t%d", i)), tenants.Terms{Plan: tenants.PlanFree})
	}
	w.pass(0)
	if n := testing.AllocsPerRun(5, func() { w.pass(time.Minute) }); n > 100 {
		t.Errorf("a sweep of 500 tenants of which nothing is due allocates %v times", n)
	}
}

// TestSweepsNoticeWhatHappensBesideThem: what charges a tenant more without
// being written through the Store, as merging does, is noticed in an hour, also
// by a clock that was set back.
func TestSweepsNoticeWhatHappensBesideThem(t *testing.T) {
	for _, passes := range []time.Duration{time.Hour, -400 * day} {
		w := newWorld(t)
		w.put("t", tenants.Terms{Quota: bytes(1000)})
		w.made("other")
		w.pass(0)
		labels, err := model.NewLabels(model.Label{Name: "instrument", Value: "i"}, model.Label{Name: "channel", Value: "c"})
		w.must(err)
		c := model.Column{Labels: labels}
		for i := range 501 {
			c.Times, c.Values = append(c.Times, w.clock().Add(-time.Duration(i)*time.Second).UnixNano()), append(c.Values, 1)
		}
		_, err = w.db.Append(w.Context(), &model.Batch{Tenant: "t", Columns: []model.Column{c}})
		w.must(err)
		w.pass(passes)
		w.wantTold("t over_quota")
	}
}
