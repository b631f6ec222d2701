package api

import (
	"context"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// RetentionBody is the body of GET and PUT /api/v1/retention: all rules. The
// nearest scope that matches a channel wins, for each step by itself.
type RetentionBody struct {
	Rules []RetentionRule `json:"rules"`
}

// RetentionRule says how long channels keep their samples, and the rollups of
// each step: forever, or a number with y mo d h m s, such as 1y, of the UTC
// calendar, or 90d.
type RetentionRule struct {
	Scope  string `json:"scope" enum:"tenant,group,instrument,channel"`
	Match  string `json:"match,omitempty" doc:"Which channels: the name of a group, an instrument or a channel, or a selector of = and !=; left out for a tenant" example:"lake"`
	Raw    string `json:"raw,omitempty" doc:"Of samples; left out: not said here" example:"1y"`
	Second string `json:"1s,omitempty" doc:"Of rollups by the second"`
	Minute string `json:"1m,omitempty" doc:"By the minute"`
	Hour   string `json:"1h,omitempty" doc:"By the hour"`
	Day    string `json:"1d,omitempty" doc:"By the day"`
}

// steps returns the texts of a rule by model.Step.
func (r *RetentionRule) steps() [model.StepCount]*string {
	return [model.StepCount]*string{&r.Raw, &r.Second, &r.Minute, &r.Hour, &r.Day}
}

// Retention gives a tenant's own rules; those of its plan are not among them.
func (a *API) Retention(t model.Tenant) (*RetentionBody, error) {
	rules, err := a.Tenants.Rules(t)
	if err != nil {
		return nil, AsError(err)
	}
	return retentionBody(rules), nil
}

func retentionBody(rules policy.Rules) *RetentionBody {
	body := &RetentionBody{Rules: make([]RetentionRule, len(rules))}
	for i := range rules {
		r := RetentionRule{Scope: string(rules[i].Scope), Match: rules[i].Match}
		for s, text := range r.steps() {
			if keep := rules[i].Keep[s]; keep != nil {
				*text = keep.String()
			}
		}
		body.Rules[i] = r
	}
	return body
}

// PutRetention puts rules in place of all that a tenant had. The tenant itself
// may not keep longer than its plan does, an administrator may.
func (a *API) PutRetention(ctx context.Context, t model.Tenant, body RetentionBody, administrator bool) (*RetentionBody, error) {
	var rules policy.Rules
	for i := range body.Rules {
		given := &body.Rules[i]
		r := policy.Rule{Scope: policy.Scope(given.Scope), Match: given.Match}
		for s, text := range given.steps() {
			if *text == "" {
				continue
			}
			keep, err := policy.ParseKeep(*text)
			if err != nil {
				return nil, AsError(err)
			}
			r.Keep[s] = &keep
		}
		rules = append(rules, r)
	}
	if err := a.Tenants.SetRules(ctx, t, rules, administrator); err != nil {
		return nil, AsError(err)
	}
	return a.Retention(t)
}

// DeleteRetention removes all rules of a tenant but its plan's.
func (a *API) DeleteRetention(ctx context.Context, t model.Tenant) error {
	if err := a.Tenants.SetRules(ctx, t, nil, true); err != nil {
		return AsError(err)
	}
	return nil
}

// EffectiveBody answers GET /api/v1/retention/effective.
type EffectiveBody struct {
	Channels []EffectiveChannel `json:"channels"`
}

// EffectiveChannel is what holds for one channel.
type EffectiveChannel struct {
	Labels model.Labels  `json:"labels"`
	Raw    EffectiveKeep `json:"raw"`
	Second EffectiveKeep `json:"1s"`
	Minute EffectiveKeep `json:"1m"`
	Hour   EffectiveKeep `json:"1h"`
	Day    EffectiveKeep `json:"1d"`
}

// EffectiveKeep is how long something is kept, and the scope of the rule that
// says so; where none does it is the plan.
type EffectiveKeep struct {
	Keep string `json:"keep"`
	From string `json:"from" enum:"channel,instrument,group,tenant,plan"`
}

// EffectiveRetention tells how long channels keep what they have.
func (a *API) EffectiveRetention(ctx context.Context, t model.Tenant, s Selection) (*EffectiveBody, error) {
	return answer(a.effective(ctx, t, s))
}

func (a *API) effective(ctx context.Context, t model.Tenant, s Selection) (*EffectiveBody, error) {
	channels, ids, err := a.selected(ctx, t, s)
	if err != nil {
		return nil, err
	}
	effective, err := a.DB.EffectiveRetention(t, ids)
	if err != nil {
		return nil, err
	}
	body := &EffectiveBody{Channels: make([]EffectiveChannel, len(channels))}
	for i := range channels {
		c := &body.Channels[i]
		c.Labels = channels[i].Labels
		for s, keep := range []*EffectiveKeep{&c.Raw, &c.Second, &c.Minute, &c.Hour, &c.Day} {
			*keep = EffectiveKeep{effective[i].Keep[s].String(), string(effective[i].From[s])}
		}
	}
	return body, nil
}

// selected returns the channels that a selection names, at least one, and their
// IDs.
func (a *API) selected(ctx context.Context, t model.Tenant, s Selection) ([]model.Channel, []model.ChannelID, error) {
	scope, err := s.scope(t)
	if err != nil {
		return nil, nil, err
	}
	scope.Admit = a.admit(ctx)
	return scope.Channels(ctx, a.DB, policy.QueryChannels.Default)
}

// DeletedSamples answers DELETE /api/v1/samples: how many channels were
// selected, and the offset of the log before which their samples are gone.
type DeletedSamples struct {
	Channels int    `json:"channels"`
	Offset   uint64 `json:"offset"`
}

// DeletedChannels answers DELETE /api/v1/channels.
type DeletedChannels struct {
	Channels int `json:"channels"`
}

// errNoMatch asks what is to be deleted.
func errNoMatch() error {
	return NewError("malformed", "match is missing: what is to be deleted; {} is everything")
}

// DeleteSamples deletes the samples of channels in a span that were written
// before. Unlike everywhere else the selector must be given.
func (a *API) DeleteSamples(ctx context.Context, t model.Tenant, s Selection) (*DeletedSamples, error) {
	return answer(a.deleteSamples(ctx, t, s))
}

func (a *API) deleteSamples(ctx context.Context, t model.Tenant, s Selection) (*DeletedSamples, error) {
	if s.Match == "" {
		return nil, errNoMatch()
	}
	window, err := a.window(s)
	if err != nil {
		return nil, err
	}
	span, err := window.Bounds()
	if err != nil {
		return nil, err
	}
	channels, ids, err := a.selected(ctx, t, s)
	if err != nil {
		return nil, err
	}
	body := &DeletedSamples{Channels: len(channels)}
	if span.Empty() {
		return body, nil
	}
	if body.Offset, err = a.DB.DeleteRows(ctx, t, ids, span); err != nil {
		return nil, err
	}
	a.checkAfter(ctx, t)
	return body, nil
}

// DeleteChannels deletes channels with all that they have. The selector must be
// given.
func (a *API) DeleteChannels(ctx context.Context, t model.Tenant, s Selection) (*DeletedChannels, error) {
	return answer(a.deleteChannels(ctx, t, s))
}

func (a *API) deleteChannels(ctx context.Context, t model.Tenant, s Selection) (*DeletedChannels, error) {
	if s.Match == "" {
		return nil, errNoMatch()
	}
	channels, ids, err := a.selected(ctx, t, s)
	if err != nil {
		return nil, err
	}
	if err := a.DB.DeleteChannels(ctx, t, ids); err != nil {
		return nil, err
	}
	a.checkAfter(ctx, t)
	return &DeletedChannels{len(channels)}, nil
}

// checkAfter lets a tenant write again at once that deleted enough. Where that
// fails the next sweep does it: what was asked for is done.
func (a *API) checkAfter(ctx context.Context, t model.Tenant) { _, _ = a.Tenants.Check(ctx, t) }
