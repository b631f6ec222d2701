package main

import (
	"slices"
	"strconv"

	"github.com/hokan-db/hokan/server/api"
)

type retentionCommand struct {
	Get    retentionGetCommand    `cmd:"" help:"List the rules, or what holds for each channel."`
	Set    retentionSetCommand    `cmd:"" help:"Set a rule, in place of the one of that scope and match."`
	Delete retentionDeleteCommand `cmd:"" help:"Remove a rule, or all."`
}

type retentionGetCommand struct {
	aboutFlags
	outputFlags
	Effective bool   `help:"What holds for each channel, and which rule says so."`
	Selector  string `arg:"" optional:"" default:"{}" help:"Which channels, with --effective (default all)."`
}

// Help gives examples.
func (c *retentionGetCommand) Help() string {
	return `Examples:
  hokan retention get --data d --tenant t
  hokan retention get --data d --tenant t --effective '{instrument="lake"}'`
}

// Run implements the command.
func (c *retentionGetCommand) Run(t *terminal) error {
	if err := c.checkUnit(); err != nil {
		return err
	}
	if !c.Effective && c.Selector != "{}" {
		return api.NewError("malformed", "a selector goes with --effective: rules are listed whole")
	}
	return c.with(t, func(from source) error {
		if c.Effective {
			body, err := from.effectiveRetention(t.ctx, api.Selection{Match: c.Selector})
			if err != nil {
				return err
			}
			return c.print(t, body, func() *grid { return effectiveGrid(body) })
		}
		body, err := from.retention(t.ctx)
		if err != nil {
			return err
		}
		return c.print(t, body, func() *grid { return retentionGrid(body) })
	})
}

func retentionGrid(body *api.RetentionBody) *grid {
	g := &grid{header: []string{"scope", "match", "raw", "1s", "1m", "1h", "1d"}}
	for _, r := range body.Rules {
		g.add(r.Scope, r.Match, r.Raw, r.Second, r.Minute, r.Hour, r.Day)
	}
	return g
}

func effectiveGrid(body *api.EffectiveBody) *grid {
	g := &grid{header: []string{"instrument", "channel", "labels", "raw", "1s", "1m", "1h", "1d"}}
	text := func(k api.EffectiveKeep) string { return k.Keep + " (" + k.From + ")" }
	for i := range body.Channels {
		c := &body.Channels[i]
		g.add(c.Labels.Instrument(), c.Labels.Channel(), freeLabels(c.Labels),
			text(c.Raw), text(c.Second), text(c.Minute), text(c.Hour), text(c.Day))
	}
	return g
}

// ruleFlags name a rule.
type ruleFlags struct {
	Scope string `enum:"tenant,group,instrument,channel" default:"tenant" help:"tenant, group, instrument or channel (default ${default})."`
	Match string `placeholder:"M" help:"Which: the name of a group, an instrument or a channel, or a selector of = and !=."`
}

// is reports whether a rule has that scope and match.
func (f *ruleFlags) is(r *api.RetentionRule) bool { return r.Scope == f.Scope && r.Match == f.Match }

type retentionSetCommand struct {
	aboutFlags
	outputFlags
	ruleFlags
	Raw    string `placeholder:"KEEP" help:"How long samples are kept: forever, or a number with y mo d h m s, such as 1y or 90d."`
	Second string `name:"1s" placeholder:"KEEP" help:"How long rollups by the second are kept (default as long as samples)."`
	Minute string `name:"1m" placeholder:"KEEP" help:"By the minute."`
	Hour   string `name:"1h" placeholder:"KEEP" help:"By the hour."`
	Day    string `name:"1d" placeholder:"KEEP" help:"By the day."`
}

// Help gives examples.
func (c *retentionSetCommand) Help() string {
	return `It holds at once: what is older is not returned any more, and never again, even if
the rule is taken back. A year or a month is one of the UTC calendar. Of the rules
that match a channel the nearest counts: channel, instrument, group, tenant, plan.

Examples:
  hokan retention set --data d --tenant t --raw 1y --1h forever
  hokan retention set --data d --tenant t --scope instrument --match lake --raw 90d`
}

// Run implements the command.
func (c *retentionSetCommand) Run(t *terminal) error {
	if err := c.checkUnit(); err != nil {
		return err
	}
	rule := api.RetentionRule{
		Scope: c.Scope, Match: c.Match, Raw: c.Raw, Second: c.Second, Minute: c.Minute, Hour: c.Hour, Day: c.Day,
	}
	return c.change(t, func(from source) error {
		rules, err := from.retention(t.ctx)
		if err != nil {
			return err
		}
		if at := slices.IndexFunc(rules.Rules, func(r api.RetentionRule) bool { return c.is(&r) }); at >= 0 {
			rules.Rules[at] = rule
		} else {
			rules.Rules = append(rules.Rules, rule)
		}
		body, err := from.putRetention(t.ctx, *rules)
		if err != nil {
			return err
		}
		return c.print(t, body, func() *grid { return retentionGrid(body) })
	})
}

type retentionDeleteCommand struct {
	aboutFlags
	outputFlags
	ruleFlags
	All bool `help:"All rules."`
}

// Help gives examples.
func (c *retentionDeleteCommand) Help() string {
	return `What had expired does not come back.

Examples:
  hokan retention delete --data d --tenant t --scope instrument --match lake
  hokan retention delete --data d --tenant t --all`
}

// Run implements the command. Its result is the rules that are left.
func (c *retentionDeleteCommand) Run(t *terminal) error {
	if err := c.checkUnit(); err != nil {
		return err
	}
	return c.change(t, func(from source) error {
		rules, err := from.retention(t.ctx)
		if err != nil {
			return err
		}
		left := slices.DeleteFunc(slices.Clone(rules.Rules), func(r api.RetentionRule) bool { return c.All || c.is(&r) })
		if len(left) == len(rules.Rules) && !c.All {
			return api.NewError("not_found", "there is no rule of scope "+c.Scope+" that matches "+strconv.Quote(c.Match))
		}
		if len(left) == 0 {
			if err := from.deleteRetention(t.ctx); err != nil {
				return err
			}
			return c.print(t, &api.RetentionBody{Rules: left}, func() *grid { return retentionGrid(&api.RetentionBody{}) })
		}
		body, err := from.putRetention(t.ctx, api.RetentionBody{Rules: left})
		if err != nil {
			return err
		}
		return c.print(t, body, func() *grid { return retentionGrid(body) })
	})
}
