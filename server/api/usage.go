package api

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/query"
	"github.com/hokan-db/hokan/server/tenants"
)

// UsageBody answers GET /api/v1/usage.
type UsageBody struct {
	Bytes        UsedBytes    `json:"bytes"`
	Channels     UsedChannels `json:"channels"`
	MachineBytes MachineBytes `json:"machine_bytes"`
	State        string       `json:"state" enum:"ok,low,over" doc:"low: less than a tenth of the bytes was left, and not yet 12 % again; over: more is charged than the quota"`
	Deadline     *int64       `json:"deadline" doc:"While over: when something happens"`
	FullAt       *int64       `json:"full_at" doc:"When the quota will be full if it grows as in the last thirty days; null if that cannot be said"`
	Unit         string       `json:"unit"`
}

// UsedBytes are the bytes that a tenant is charged, and those that it takes up.
// A quota is nil where there is none.
type UsedBytes struct {
	Used     uint64  `json:"used" doc:"That are charged: samples as they were first compacted, 2 bytes each before that, and files"`
	Quota    *uint64 `json:"quota"`
	Files    uint64  `json:"files" doc:"Of uploaded files, part of both"`
	Physical uint64  `json:"physical" doc:"Of its blocks and files on the disk"`
}

// UsedChannels are the channels that a tenant has.
type UsedChannels struct {
	Used  int     `json:"used"`
	Quota *uint64 `json:"quota"`
}

// MachineBytes is what the whole database takes up on the disk.
type MachineBytes struct {
	Log       uint64 `json:"log"`
	Blocks    uint64 `json:"blocks"`
	Catalog   uint64 `json:"catalog"`
	Temporary uint64 `json:"temporary"`
}

// Usage tells what a tenant uses, of what it may, and until when.
func (a *API) Usage(ctx context.Context, t model.Tenant, unit string) (*UsageBody, error) {
	return answer(a.usage(ctx, t, unit))
}

func (a *API) usage(ctx context.Context, t model.Tenant, unitName string) (*UsageBody, error) {
	unit, err := query.ParseUnit(unitName)
	if err != nil {
		return nil, err
	}
	standing, err := a.Tenants.Check(ctx, t)
	if err != nil {
		return nil, err
	}
	machine, err := a.DB.MachineBytes()
	if err != nil {
		return nil, err
	}
	u, r := &standing.Usage, &standing.Record
	limits := r.Limits()
	body := &UsageBody{
		Bytes:        UsedBytes{Used: u.Charged, Quota: limited(limits.Bytes), Files: u.Files, Physical: u.Physical},
		Channels:     UsedChannels{Used: u.Channels, Quota: limited(limits.Channels)},
		MachineBytes: MachineBytes(machine),
		State:        string(cmp.Or(r.Life.State, tenants.StateOK)), Deadline: instant(r.Life.Deadline, unit), Unit: unit.Name,
	}
	if limits.Bytes == 0 {
		return body, nil
	}
	added := map[int64]uint64{}
	if err := a.DB.UsageDays(ctx, t, func(d engine.DayUsage) error {
		added[d.Day/int64(24*time.Hour)] += d.Charged
		return nil
	}); err != nil {
		return nil, err
	}
	body.FullAt = instant(tenants.Forecast(added, u.Charged, limits.Bytes, a.Clock()), unit)
	return body, nil
}

// UsageDaysBody answers GET /api/v1/usage/days.
type UsageDaysBody struct {
	Days []UsageDay `json:"days"`
}

// UsageDay is what is charged for the samples of a UTC day, or for the files
// that were put on it.
type UsageDay struct {
	Day      string `json:"day" example:"2026-11-21"`
	Key      string `json:"key" doc:"The tenant, the measurement group, the channel's labels, or files"`
	Bytes    uint64 `json:"bytes" doc:"That are charged"`
	Physical uint64 `json:"physical" doc:"On the disk"`
}

// FilesKey stands for uploaded files where a key is a group's or a channel's.
const FilesKey = "files"

// maxUsageDays bounds the rows of one answer.
const maxUsageDays = 1_000_000

// UsageDays tells what each day, by tenant, group or channel, is charged.
func (a *API) UsageDays(ctx context.Context, t model.Tenant, by string) (*UsageDaysBody, error) {
	return answer(a.usageDays(ctx, t, by))
}

func (a *API) usageDays(ctx context.Context, t model.Tenant, by string) (*UsageDaysBody, error) {
	keys, err := a.usageKeys(ctx, t, by)
	if err != nil {
		return nil, err
	}
	type place struct {
		day int64
		key string
	}
	sums := map[place]*UsageDay{}
	err = a.DB.UsageDays(ctx, t, func(d engine.DayUsage) error {
		at := place{d.Day, keys(d.Channel)}
		sum := sums[at]
		if sum == nil {
			if len(sums) == maxUsageDays {
				return NewError("bad_span", "there are more than "+strconv.Itoa(maxUsageDays)+" days and keys: ask by group or by tenant")
			}
			sum = &UsageDay{Day: time.Unix(0, d.Day).UTC().Format(time.DateOnly), Key: at.key}
			sums[at] = sum
		}
		sum.Bytes += d.Charged
		sum.Physical += d.Physical
		return nil
	})
	if err != nil {
		return nil, err
	}
	body := &UsageDaysBody{Days: make([]UsageDay, 0, len(sums))}
	for _, sum := range sums {
		body.Days = append(body.Days, *sum)
	}
	slices.SortFunc(body.Days, func(a, b UsageDay) int { return cmp.Or(cmp.Compare(a.Day, b.Day), cmp.Compare(a.Key, b.Key)) })
	return body, nil
}

// usageKeys returns what names a channel's share; 0 are files.
func (a *API) usageKeys(ctx context.Context, t model.Tenant, by string) (func(model.ChannelID) string, error) {
	if by == "" || by == "tenant" {
		return func(model.ChannelID) string { return string(t) }, nil
	}
	if by != "group" && by != "channel" {
		return nil, NewError("malformed", "by="+quote(by)+" is none of tenant, group, channel")
	}
	channels, err := a.DB.Channels(ctx, t, nil)
	if err != nil {
		return nil, err
	}
	names := make(map[model.ChannelID]string, len(channels))
	for i := range channels {
		c := &channels[i]
		if names[c.ID] = c.Labels.String(); by == "group" {
			names[c.ID] = c.History.Current().Group
		}
	}
	return func(id model.ChannelID) string {
		if id == 0 {
			return FilesKey
		}
		return names[id]
	}, nil
}
