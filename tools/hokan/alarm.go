package main

import (
	"github.com/hokan-db/hokan/server/api"
)

type alarmCommand struct {
	Create  alarmCreateCommand  `cmd:"" help:"Watch a channel."`
	Edit    alarmEditCommand    `cmd:"" help:"Change what an alarm watches for; its state starts clean."`
	List    alarmListCommand    `cmd:"" help:"List alarms and their states."`
	Enable  alarmEnableCommand  `cmd:"" help:"Switch an alarm on; it starts clean."`
	Disable alarmDisableCommand `cmd:"" help:"Switch an alarm off; its state is frozen."`
	Delete  alarmDeleteCommand  `cmd:"" help:"Remove an alarm and print what it was; its events stay."`
}

type alarmCreateCommand struct {
	tenantFlags
	outputFlags
	Selector  string   `arg:"" help:"A selector that matches exactly one channel."`
	Name      string   `help:"What people call it."`
	Operator  string   `required:"" placeholder:"O" help:"One of > >= <= < outside outside_or_equal."`
	Threshold *float64 `placeholder:"X" help:"For > >= <= <."`
	Low       *float64 `placeholder:"L" help:"For outside (below L or above H) and outside_or_equal."`
	High      *float64 `placeholder:"H" help:"For outside and outside_or_equal."`
}

// Help gives examples.
func (c *alarmCreateCommand) Help() string {
	return `An alarm judges samples that are written after it was created.

Examples:
  hokan alarm create --data d --tenant t --operator '>' --threshold 30 '{instrument="lake",channel="2-1"}'
  hokan alarm create --data d --tenant t --operator outside --low -5 --high 40 --name frost '{channel="2-1"}'`
}

// Run implements the command.
func (c *alarmCreateCommand) Run(t *terminal) error {
	wanted := api.AlarmRequest{
		Name: c.Name, Match: c.Selector, Operator: c.Operator, Threshold: c.Threshold, Low: c.Low, High: c.High,
	}
	if err := wanted.Validate(); err != nil {
		return err
	}
	return c.change(t, func(from source) error {
		body, err := from.CreateAlarm(t.ctx, wanted, c.unit())
		if err != nil {
			return err
		}
		return c.print(t, body, func() *grid { return alarmGrid(body.Unit, *body) })
	})
}

type alarmEditCommand struct {
	tenantFlags
	outputFlags
	ID        string   `arg:"" help:"The alarm's ID."`
	Selector  string   `arg:"" optional:"" help:"A selector that matches exactly one channel (default the one it has)."`
	Name      *string  `help:"What people call it."`
	Operator  *string  `placeholder:"O" help:"One of > >= <= < outside outside_or_equal."`
	Threshold *float64 `placeholder:"X" help:"For > >= <= <."`
	Low       *float64 `placeholder:"L" help:"For outside and outside_or_equal."`
	High      *float64 `placeholder:"H" help:"For outside and outside_or_equal."`
}

// Help gives examples.
func (c *alarmEditCommand) Help() string {
	return `What is not said stays as it is, switched off included.

Examples:
  hokan alarm edit --data d --tenant t 12 --threshold 35
  hokan alarm edit --data d --tenant t 12 --operator outside --low -5 --high 40`
}

// Run implements the command.
func (c *alarmEditCommand) Run(t *terminal) error {
	return c.change(t, func(from source) error {
		now, err := from.Alarm(t.ctx, c.ID, c.unit())
		if err != nil {
			return err
		}
		body, err := from.ReplaceAlarm(t.ctx, c.ID, c.edited(now), c.unit())
		if err != nil {
			return err
		}
		return c.print(t, body, func() *grid { return alarmGrid(body.Unit, *body) })
	})
}

// edited is the definition of an alarm with what the flags change of it. A
// threshold takes the place of limits, and they that of a threshold.
func (c *alarmEditCommand) edited(now *api.AlarmBody) api.AlarmRequest {
	wanted := api.AlarmRequest{
		Name: now.Name, Match: now.Match, Operator: now.Operator, Enabled: &now.Enabled,
		Threshold: c.Threshold, Low: c.Low, High: c.High,
	}
	if c.Selector != "" {
		wanted.Match = c.Selector
	}
	if c.Name != nil {
		wanted.Name = *c.Name
	}
	if c.Operator != nil {
		wanted.Operator = *c.Operator
	}
	keep := func(wanted **float64, has *api.Value) {
		if *wanted == nil && has != nil {
			*wanted = &has.Number
		}
	}
	if c.Low == nil && c.High == nil {
		keep(&wanted.Threshold, now.Threshold)
	}
	if c.Threshold == nil {
		keep(&wanted.Low, now.Low)
		keep(&wanted.High, now.High)
	}
	return wanted
}

func alarmGrid(unit string, alarms ...api.AlarmBody) *grid {
	times := newTimePrinter(unit)
	g := &grid{header: []string{"id", "version", "name", "channel", "match", "operator", "threshold", "low", "high", "enabled", "state", "since"}}
	for _, a := range alarms {
		enabled := "no"
		if a.Enabled {
			enabled = "yes"
		}
		channel := "" // it was deleted
		if a.Labels != nil {
			channel = a.Labels.String()
		}
		g.add(a.ID, number(a.Version), a.Name, channel, a.Match, a.Operator, limitText(a.Threshold), limitText(a.Low),
			limitText(a.High), enabled, a.State, times.optional(a.Since))
	}
	return g
}

func limitText(v *api.Value) string {
	if v == nil {
		return ""
	}
	return v.Text()
}

type alarmListCommand struct {
	tenantFlags
	outputFlags
}

// Help gives an example.
func (c *alarmListCommand) Help() string {
	return `Example:
  hokan alarm list --data d --tenant t`
}

// Run implements the command.
func (c *alarmListCommand) Run(t *terminal) error {
	return c.with(t, func(from source) error {
		body, err := from.Alarms(t.ctx, c.unit())
		if err != nil {
			return err
		}
		return c.print(t, body, func() *grid { return alarmGrid(body.Unit, body.Alarms...) })
	})
}

type alarmEnableCommand struct {
	tenantFlags
	outputFlags
	ID string `arg:"" help:"The alarm's ID."`
}

// Help gives an example.
func (c *alarmEnableCommand) Help() string {
	return `Example:
  hokan alarm enable --data d --tenant t 12`
}

// Run implements the command.
func (c *alarmEnableCommand) Run(t *terminal) error {
	return switchAlarm(t, &c.tenantFlags, &c.outputFlags, c.ID, true)
}

type alarmDisableCommand struct {
	tenantFlags
	outputFlags
	ID string `arg:"" help:"The alarm's ID."`
}

// Help gives an example.
func (c *alarmDisableCommand) Help() string {
	return `Example:
  hokan alarm disable --data d --tenant t 12`
}

// Run implements the command.
func (c *alarmDisableCommand) Run(t *terminal) error {
	return switchAlarm(t, &c.tenantFlags, &c.outputFlags, c.ID, false)
}

func switchAlarm(t *terminal, where *tenantFlags, how *outputFlags, id string, enabled bool) error {
	return where.change(t, func(from source) error {
		body, err := from.SwitchAlarm(t.ctx, id, enabled, how.unit())
		if err != nil {
			return err
		}
		return how.print(t, body, func() *grid { return alarmGrid(body.Unit, *body) })
	})
}

type alarmDeleteCommand struct {
	tenantFlags
	outputFlags
	ID string `arg:"" help:"The alarm's ID."`
}

// Help gives an example.
func (c *alarmDeleteCommand) Help() string {
	return `Example:
  hokan alarm delete --data d --tenant t 12`
}

// Run implements the command. Its result is the alarm as it was.
func (c *alarmDeleteCommand) Run(t *terminal) error {
	return c.change(t, func(from source) error {
		body, err := from.Alarm(t.ctx, c.ID, c.unit())
		if err != nil {
			return err
		}
		if err := from.DeleteAlarm(t.ctx, c.ID); err != nil {
			return err
		}
		return c.print(t, body, func() *grid { return alarmGrid(body.Unit, *body) })
	})
}
