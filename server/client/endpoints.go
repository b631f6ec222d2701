package client

import (
	"context"
	"io"
	"net/http"
	"net/url"

	"github.com/hokan-db/hokan/server/api"
)

// Channels lists channels.
func (c *Client) Channels(ctx context.Context, s api.Selection) (*api.ChannelsBody, error) {
	body := new(api.ChannelsBody)
	return answer(body, c.get(ctx, "/api/v1/channels", values("match", s.Match, "unit", s.Unit), body))
}

// Latest gives the newest sample of every channel.
func (c *Client) Latest(ctx context.Context, s api.Selection) (*api.LatestBody, error) {
	body := new(api.LatestBody)
	return answer(body, c.get(ctx, "/api/v1/latest", values("match", s.Match, "unit", s.Unit), body))
}

// View gives channels in buckets of time.
func (c *Client) View(ctx context.Context, r api.ViewRequest) (*api.ViewBody, error) {
	body := new(api.ViewBody)
	query := selection(r.Selection)
	set(query, "buckets", count(r.Buckets))
	set(query, "fields", r.Fields)
	return answer(body, c.get(ctx, "/api/v1/view", query, body))
}

// Table gives samples joined on time, a page at a time.
func (c *Client) Table(ctx context.Context, r api.TableRequest) (*api.TableBody, error) {
	body := new(api.TableBody)
	query := selection(r.Selection)
	set(query, "limit", count(r.Limit))
	set(query, "after", r.After)
	return answer(body, c.get(ctx, "/api/v1/table", query, body))
}

// Export asks for samples as a file. The caller reads and closes it; it is
// whole only if it is read to its end without an error.
func (c *Client) Export(ctx context.Context, r api.ExportRequest) (io.ReadCloser, error) {
	query := values("match", r.Match, "from", r.From, "to", r.To, "format", r.Format)
	set(query, "zone", r.Zone)
	response, err := c.do(ctx, http.MethodGet, "/api/v1/export", query, nil, nil)
	if err != nil {
		return nil, err
	}
	return c.received(ctx, response), nil
}

// Alarms lists the alarms, oldest first.
func (c *Client) Alarms(ctx context.Context, unit string) (*api.AlarmsBody, error) {
	body := new(api.AlarmsBody)
	return answer(body, c.get(ctx, "/api/v1/alarms", values("unit", unit), body))
}

// Alarm gives one alarm.
func (c *Client) Alarm(ctx context.Context, id, unit string) (*api.AlarmBody, error) {
	body := new(api.AlarmBody)
	return answer(body, c.get(ctx, alarmPath(id), values("unit", unit), body))
}

// CreateAlarm makes an alarm.
func (c *Client) CreateAlarm(ctx context.Context, r api.AlarmRequest, unit string) (*api.AlarmBody, error) {
	body := new(api.AlarmBody)
	return answer(body, c.send(ctx, http.MethodPost, "/api/v1/alarms", values("unit", unit), r, body))
}

// ReplaceAlarm gives an alarm a new definition.
func (c *Client) ReplaceAlarm(ctx context.Context, id string, r api.AlarmRequest, unit string) (*api.AlarmBody, error) {
	body := new(api.AlarmBody)
	return answer(body, c.send(ctx, http.MethodPut, alarmPath(id), values("unit", unit), r, body))
}

// SwitchAlarm enables or disables an alarm.
func (c *Client) SwitchAlarm(ctx context.Context, id string, enabled bool, unit string) (*api.AlarmBody, error) {
	return c.ReplaceAlarm(ctx, id, api.AlarmRequest{Enabled: &enabled}, unit)
}

// DeleteAlarm removes an alarm. Its events stay.
func (c *Client) DeleteAlarm(ctx context.Context, id string) error {
	return c.remove(ctx, alarmPath(id))
}

func alarmPath(id string) string { return "/api/v1/alarms/" + url.PathEscape(id) }

// Events lists alarm events by time.
func (c *Client) Events(ctx context.Context, r api.EventsRequest) (*api.EventsBody, error) {
	body := new(api.EventsBody)
	return answer(body, c.get(ctx, "/api/v1/events", values("alarm", r.Alarm, "from", r.From, "to", r.To,
		"after", r.After, "limit", count(r.Limit), "unit", r.Unit), body))
}

// Snapshot copies the server's database into a folder of its machine. It takes
// an administrator's token.
func (c *Client) Snapshot(ctx context.Context, r api.SnapshotRequest) (*api.SnapshotBody, error) {
	body := new(api.SnapshotBody)
	return answer(body, c.send(ctx, http.MethodPost, "/api/v1/snapshot", nil, r, body))
}

func (c *Client) remove(ctx context.Context, path string) error {
	return c.erase(ctx, path, nil, nil)
}

func selection(s api.Selection) url.Values {
	return values("match", s.Match, "from", s.From, "to", s.To, "unit", s.Unit)
}

func set(query url.Values, name, value string) {
	if value != "" {
		query.Set(name, value)
	}
}

// answer gives the body only where there is no error.
func answer[B any](body *B, err error) (*B, error) {
	if err != nil {
		return nil, err
	}
	return body, nil
}
