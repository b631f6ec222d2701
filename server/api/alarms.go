package api

import (
	"context"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/query"
)

// AlarmRequest is the body of POST /api/v1/alarms and PUT /api/v1/alarms/{id}.
type AlarmRequest struct {
	Name      string   `json:"name,omitempty"`
	Match     string   `json:"match,omitempty"`    // selects exactly one channel
	Operator  string   `json:"operator,omitempty"` // > >= <= < outside outside_or_equal
	Threshold *float64 `json:"threshold,omitempty"`
	Low       *float64 `json:"low,omitempty"`
	High      *float64 `json:"high,omitempty"`
	Enabled   *bool    `json:"enabled,omitempty"` // left out: true
}

// AlarmBody is an alarm's definition and state. Since is nil while the state
// is unknown.
type AlarmBody struct {
	ID        string        `json:"id"`
	Version   uint64        `json:"version"`
	Name      string        `json:"name"`
	Match     string        `json:"match"`
	Labels    *model.Labels `json:"labels"` // of its channel
	Operator  string        `json:"operator"`
	Threshold *Value        `json:"threshold,omitempty"`
	Low       *Value        `json:"low,omitempty"`
	High      *Value        `json:"high,omitempty"`
	Enabled   bool          `json:"enabled"`
	State     string        `json:"state"`
	Since     *int64        `json:"since"`
	Unit      string        `json:"unit"`
}

// AlarmsBody answers GET /api/v1/alarms.
type AlarmsBody struct {
	Unit   string      `json:"unit"`
	Alarms []AlarmBody `json:"alarms"`
}

// Alarms lists the alarms, oldest first.
func (a *API) Alarms(ctx context.Context, t model.Tenant, unit string) (*AlarmsBody, error) {
	return answer(a.alarms(ctx, t, unit))
}

func (a *API) alarms(ctx context.Context, t model.Tenant, unitName string) (*AlarmsBody, error) {
	unit, err := query.ParseUnit(unitName)
	if err != nil {
		return nil, err
	}
	alarms, err := a.DB.Alarms(t)
	if err != nil {
		return nil, err
	}
	channels, err := a.channelsByID(ctx, t)
	if err != nil {
		return nil, err
	}
	body := &AlarmsBody{Unit: unit.Name, Alarms: make([]AlarmBody, len(alarms))}
	for i := range alarms {
		body.Alarms[i] = alarmBody(&alarms[i], channels[alarms[i].Channel], unit)
	}
	return body, nil
}

func alarmBody(a *engine.Alarm, c *model.Channel, unit query.Unit) AlarmBody {
	body := AlarmBody{
		ID: formatID(a.ID), Version: a.Version, Name: a.Name, Match: a.Match, Operator: a.Operator.String(),
		Enabled: a.Enabled, State: a.State.String(), Unit: unit.Name,
	}
	if c != nil {
		body.Labels = &c.Labels
	}
	if isRange(a.Operator) {
		body.Low, body.High = &Value{a.Low, true}, &Value{a.High, true}
	} else {
		body.Threshold = &Value{a.Threshold, true}
	}
	if a.State != engine.AlarmUnknown {
		since := unit.Floor(a.Since)
		body.Since = &since
	}
	return body
}

func isRange(o engine.Operator) bool { return o == engine.Outside || o == engine.OutsideOrEqual }

// Alarm gives one alarm.
func (a *API) Alarm(ctx context.Context, t model.Tenant, id, unit string) (*AlarmBody, error) {
	return answer(a.alarm(ctx, t, id, unit))
}

func (a *API) alarm(ctx context.Context, t model.Tenant, id, unit string) (*AlarmBody, error) {
	number, err := alarmID(id)
	if err != nil {
		return nil, err
	}
	all, err := a.alarms(ctx, t, unit)
	if err != nil {
		return nil, err
	}
	for i := range all.Alarms {
		if all.Alarms[i].ID == formatID(number) {
			return &all.Alarms[i], nil
		}
	}
	return nil, fmt.Errorf("%w %s", engine.ErrUnknownAlarm, id)
}

// alarmID reads an ID; what is no number is the ID of no alarm.
func alarmID(text string) (uint64, error) {
	id, err := strconv.ParseUint(text, 10, 64)
	if err != nil || id == 0 {
		return 0, fmt.Errorf("%w %s", engine.ErrUnknownAlarm, quote(text))
	}
	return id, nil
}

// CreateAlarm makes an alarm. It looks at rows that are written from then on.
func (a *API) CreateAlarm(ctx context.Context, t model.Tenant, r AlarmRequest, unit string) (*AlarmBody, error) {
	return answer(a.putAlarm(ctx, t, 0, r, unit))
}

// ReplaceAlarm gives an alarm a new definition, a version greater by one and a
// clean state. Where enabled alone is given or differs, the alarm is switched;
// a definition that is there already changes nothing.
func (a *API) ReplaceAlarm(ctx context.Context, t model.Tenant, id string, r AlarmRequest, unit string) (*AlarmBody, error) {
	number, err := alarmID(id)
	if err != nil {
		return nil, AsError(err)
	}
	now, err := a.alarm(ctx, t, id, unit)
	if err != nil {
		return nil, AsError(err)
	}
	if r.onlySwitches() || r.defines(now) {
		if enabled := r.Enabled == nil || *r.Enabled; enabled != now.Enabled {
			return a.SwitchAlarm(ctx, t, id, enabled, unit)
		}
		return now, nil
	}
	return answer(a.putAlarm(ctx, t, number, r, unit))
}

// onlySwitches reports whether r says nothing but enabled.
func (r *AlarmRequest) onlySwitches() bool {
	return r.Enabled != nil && *r == AlarmRequest{Enabled: r.Enabled}
}

// defines reports whether an alarm's definition, enabled apart, is what r says.
func (r *AlarmRequest) defines(a *AlarmBody) bool {
	same := func(wanted *float64, has *Value) bool {
		return wanted == nil && has == nil || wanted != nil && has != nil && *wanted == has.Number
	}
	return r.Name == a.Name && r.Match == a.Match && r.Operator == a.Operator &&
		same(r.Threshold, a.Threshold) && same(r.Low, a.Low) && same(r.High, a.High)
}

func (a *API) putAlarm(ctx context.Context, t model.Tenant, id uint64, r AlarmRequest, unitName string) (*AlarmBody, error) {
	unit, err := query.ParseUnit(unitName)
	if err != nil {
		return nil, err
	}
	condition, err := r.condition()
	if err != nil {
		return nil, err
	}
	if r.Match == "" {
		return nil, NewError("invalid", "match is missing: an alarm needs a selector that matches one channel")
	}
	channel, err := a.watched(ctx, t, id, r.Match)
	if err != nil {
		return nil, err
	}
	made, err := a.DB.PutAlarm(ctx, t, engine.AlarmDefinition{
		ID: id, Name: r.Name, Match: r.Match, Channel: channel.ID, Operator: uint8(condition.Operator),
		Threshold: condition.Threshold, Low: condition.Low, High: condition.High,
		Enabled: r.Enabled == nil || *r.Enabled,
	})
	if err != nil {
		return nil, err
	}
	body := alarmBody(&made, &channel, unit)
	return &body, nil
}

// watched returns the channel that an alarm is to be bound to. One whose match
// does not change stays with its channel, whatever else matches meanwhile.
func (a *API) watched(ctx context.Context, t model.Tenant, id uint64, match string) (model.Channel, error) {
	alarms, err := a.DB.Alarms(t)
	if err != nil {
		return model.Channel{}, err
	}
	for i := range alarms {
		if alarms[i].ID != id || alarms[i].Match != match {
			continue
		}
		channels, err := a.channelsByID(ctx, t)
		if err != nil {
			return model.Channel{}, err
		}
		if bound := channels[alarms[i].Channel]; bound != nil {
			return *bound, nil
		}
	}
	scope, err := Selection{Match: match}.scope(t)
	if err != nil {
		return model.Channel{}, err
	}
	return scope.One(ctx, a.DB)
}

// maxAlarmName bounds an alarm's name, in bytes.
const maxAlarmName = 1024

func (r *AlarmRequest) condition() (engine.Condition, error) {
	var c engine.Condition
	operator, err := engine.ParseOperator(r.Operator)
	if err != nil {
		return c, NewError("invalid", "operator "+quote(r.Operator)+" is none of > >= <= < outside outside_or_equal")
	}
	if len(r.Name) > maxAlarmName {
		return c, NewError("invalid", fmt.Sprintf("name has %d bytes, at most %d", len(r.Name), maxAlarmName))
	}
	if !utf8.ValidString(r.Name) {
		return c, NewError("invalid", "name "+quote(r.Name)+" is not UTF-8")
	}
	c.Operator = operator
	if isRange(operator) {
		if r.Low == nil || r.High == nil || r.Threshold != nil {
			return c, NewError("invalid", "operator "+r.Operator+" takes low and high, and no threshold")
		}
		c.Low, c.High = *r.Low, *r.High
	} else {
		if r.Threshold == nil || r.Low != nil || r.High != nil {
			return c, NewError("invalid", "operator "+r.Operator+" takes a threshold, and neither low nor high")
		}
		c.Threshold = *r.Threshold
	}
	return c, c.Validate()
}

// Validate reports what is wrong with r whatever the database holds.
func (r *AlarmRequest) Validate() error {
	_, err := r.condition()
	if err != nil {
		return AsError(err)
	}
	return nil
}

// SwitchAlarm enables or disables an alarm. Disabling freezes its state;
// enabling starts clean.
func (a *API) SwitchAlarm(ctx context.Context, t model.Tenant, id string, enabled bool, unit string) (*AlarmBody, error) {
	number, err := alarmID(id)
	if err == nil {
		_, err = query.ParseUnit(unit)
	}
	if err == nil {
		_, err = a.DB.SwitchAlarm(ctx, t, number, enabled)
	}
	if err != nil {
		return nil, AsError(err)
	}
	return a.Alarm(ctx, t, id, unit)
}

// DeleteAlarm removes an alarm. Its events stay.
func (a *API) DeleteAlarm(ctx context.Context, t model.Tenant, id string) error {
	number, err := alarmID(id)
	if err == nil {
		err = a.DB.DeleteAlarm(ctx, t, number)
	}
	if err != nil {
		return AsError(err)
	}
	return nil
}

// quote quotes text for an error message, cut to a readable length.
func quote(text string) string {
	const most = 60
	if len(text) > most {
		return strconv.Quote(text[:most]) + "…"
	}
	return strconv.Quote(text)
}
