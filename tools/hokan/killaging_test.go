package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/hokan-db/hokan/server/api"
	"github.com/hokan-db/hokan/server/client"
	"github.com/hokan-db/hokan/server/tenants"
)

// aging has a tenant of its own, whose rule of retention and quota it changes
// between what it writes near the time before which rows have expired.
//
// That time moves on with the server's clock, which starts at a full hour. Rules
// keep full hours, and no row lies in the first quarter of one: so which rows
// are there does not change for fifteen minutes, and a server has some seconds.
type aging struct {
	tenant string
	killedClient
	admin   *client.Client
	rollups bool // may be kept longer than rows
	agreed  agreement
	asked   *agreement // what the last server was to agree to, and did not answer
	askedAt int64      // what the clock showed then, ms
	ruled   int        // rules that were answered
	kept    int        // times that rows were kept from writers, or refused
}

// agreement is what is agreed with the tenant.
type agreement struct {
	hours  int64  // that rows are kept; 0: for ever
	longer bool   // rollups by the hour are kept ten times as long: of one tenant alone
	limit  uint64 // of channels; 0: none
}

const (
	agingTenants = 2
	hour         = int64(time.Hour / time.Millisecond)
	minute       = int64(time.Minute / time.Millisecond)
)

func newAging(number int, seed uint64) *aging {
	return &aging{tenant: fmt.Sprint("aging", number), rollups: number == 0, killedClient: *newKilledClient(killedClients+rebornTenants+number, seed)}
}

// connect turns to a server with an administrator's token, and makes the tenant
// where it is not yet.
func (a *aging) connect(address, token string, now int64) (err error) {
	a.turn(address, now)
	if a.admin, err = client.New(address, token); err != nil {
		return err
	}
	if _, err := a.admin.Tenant(context.Background(), a.tenant, ""); hasCode(err, "not_found") && a.sent == 0 {
		if _, err := a.admin.PutTenant(context.Background(), a.tenant, api.TenantRequest{}, ""); err != nil {
			return err
		}
	}
	made, err := a.admin.CreateToken(context.Background(), api.TokenRequest{Tenant: a.tenant}, "")
	if err != nil {
		return err
	}
	return a.use(made.Token)
}

// work changes and reads until the server is gone.
func (a *aging) work() error {
	for {
		err := a.step()
		if err == nil && a.random.IntN(8) == 0 {
			err = a.compare()
		}
		if isGone(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("tenant %s, %+v: %w", a.tenant, a.agreed, err)
		}
	}
}

// step does one thing.
func (a *aging) step() error {
	c := a.channels[a.random.IntN(len(a.channels))]
	switch kind := a.random.IntN(100); {
	case kind < 10:
		return a.agree()
	case kind < 18:
		return a.refused(c)
	case c.made && kind < 26:
		return a.do(a.delete(c))
	case c.made && kind < 32:
		return a.do(a.deleteChannel(c))
	case c.made && kind < 38:
		return a.do(a.changeAlarm(c))
	case len(c.rows) > 0 && kind < 50:
		return a.do(a.correct(c))
	}
	return a.do(a.write())
}

// write is a request with rows that may be kept, of channels for which there is
// room: near the floor, or new.
func (a *aging) write() *operation {
	room := a.room()
	var chosen []*wantedChannel
	var times [][]int64
	for _, c := range a.channels {
		if !c.made {
			if room == 0 {
				continue
			}
			room--
		}
		from := a.now - hour
		if a.random.IntN(3) > 0 {
			from = max(c.floor, a.now-48*hour) + a.random.Int64N(3)*hour
		}
		chosen, times = append(chosen, c), append(times, a.within(min(from, a.now-hour)))
	}
	return a.writeRows("rows", chosen, times)
}

// room returns how many channels may be made.
func (a *aging) room() int {
	if a.agreed.limit == 0 {
		return math.MaxInt
	}
	room := int(a.agreed.limit)
	for _, c := range a.channels {
		if c.made {
			room--
		}
	}
	return max(room, 0)
}

// within returns times in the hour from start on, but not in its first quarter.
func (a *aging) within(start int64) []int64 {
	var times []int64
	at := start + 15*minute + a.random.Int64N(40*minute)
	for range 1 + a.random.IntN(20) {
		times = append(times, at)
		at += 1 + a.random.Int64N(1000)
	}
	return times
}

// refused writes rows that nothing is kept of: they would have expired, or the
// channel would be one too many.
func (a *aging) refused(c *wantedChannel) error {
	start, reason := a.now-hour, "channel_limit"
	if c.made || a.room() > 0 {
		if c.floor == math.MinInt64 {
			return nil
		}
		start, reason = c.floor-hour*(1+a.random.Int64N(3)), "before_retention"
	}
	batch := a.batch([]*wantedChannel{c}, [][]int64{a.within(start)})
	body, err := a.client.Write(context.Background(), batch)
	a.sent++
	if isGone(err) {
		return err
	}
	if !hasCode(err, "nothing_accepted") || body.Reasons[reason] != int64(batch.Rows()) {
		return fmt.Errorf("channel %s, made %v, floor %d ms: %d rows from %d ms on are to be refused as %s: %+v (%w)",
			c.labels, c.made, c.floor, batch.Rows(), batch.Columns[0].Times[0]/1e6, reason, body, err)
	}
	a.kept++
	return nil
}

// agree changes the rule, or the quota.
func (a *aging) agree() error {
	next := a.agreed
	a.askedAt = a.now
	var err error
	if a.random.IntN(3) == 0 {
		next.limit = uint64(a.random.IntN(clientChannels + 1))
		a.asked = &next
		_, err = a.admin.PutTenant(context.Background(), a.tenant, api.TenantRequest{Quota: tenants.Quota{Channels: &next.limit}}, "")
	} else {
		next.hours = []int64{0, 1, 2, 3, 5, 12, 24, 30}[a.random.IntN(8)]
		next.longer = a.rollups && next.hours > 0 && a.random.IntN(2) == 0
		a.asked = &next
		_, err = a.admin.PutRetention(context.Background(), a.tenant, next.rules())
	}
	a.sent++
	a.stamp.request, a.stamp.after, a.stamp.offset, a.stamp.answered = a.sent, time.Since(a.begun), 0, true
	if isGone(err) {
		return err
	}
	if err != nil {
		return fmt.Errorf("agree to %+v: %w", next, err)
	}
	a.ruled++
	a.settleOn(next, a.now)
	return nil
}

// settleOn is what agreeing does at a time, in ms.
func (a *aging) settleOn(next agreement, now int64) {
	if a.asked = nil; next.hours != a.agreed.hours {
		for _, c := range a.channels {
			c.setKeep(next.hours*hour, now)
		}
	}
	a.agreed = next
}

func (g agreement) rules() api.RetentionBody {
	if g.hours == 0 {
		return api.RetentionBody{Rules: []api.RetentionRule{}}
	}
	rule := api.RetentionRule{Scope: "tenant", Raw: fmt.Sprint(g.hours, "h")}
	if g.longer {
		rule.Hour = fmt.Sprint(10*g.hours, "h")
	}
	return api.RetentionBody{Rules: []api.RetentionRule{rule}}
}

// told returns what the server says is agreed.
func (a *aging) told() (told agreement, err error) {
	retention, err := a.admin.Retention(context.Background(), a.tenant)
	if err != nil {
		return told, err
	}
	for _, rule := range retention.Rules {
		if _, err := fmt.Sscanf(rule.Raw, "%dh", &told.hours); err != nil {
			return told, fmt.Errorf("rule %+v: %w", rule, err)
		}
		told.longer = rule.Hour != ""
	}
	body, err := a.admin.Tenant(context.Background(), a.tenant, "")
	if err == nil && body.Quota.Channels != nil {
		told.limit = *body.Quota.Channels
	}
	return told, err
}

// check compares all that the server has.
func (a *aging) check() error {
	told, err := a.told()
	switch {
	case err != nil:
	case a.asked != nil && told == *a.asked:
		a.stamp.answered = false
		a.settleOn(told, a.askedAt)
	case told != a.agreed:
		err = fmt.Errorf("the server says %+v is agreed; a request that was not answered asks for %+v", told, a.asked)
	}
	a.asked = nil
	a.age() // only now: until then the rule before may have held
	if err = cmp.Or(err, a.settle(a.compare)); err != nil {
		return fmt.Errorf("tenant %s, %+v: %w", a.tenant, a.agreed, err)
	}
	return nil
}

// compare compares what queries give. Views show rollups that are kept longer
// than rows, which is not compared.
func (a *aging) compare() error {
	errs := []error{a.checkAlarms()}
	for _, c := range a.channels {
		errs = append(errs, a.checkRows(c), a.checkEvents(c))
	}
	if !a.rollups {
		errs = append(errs, a.checkView())
	}
	return errors.Join(append(errs, a.checkLatest())...)
}
