package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/server/api"
	"github.com/hokan-db/hokan/server/client"
)

// serverFlags name a server.
type serverFlags struct {
	Server string `placeholder:"URL" help:"A server instead of a folder (default $$HOKAN_SERVER)."`
	Token  string `placeholder:"T" help:"What opens the server (default $$HOKAN_TOKEN, which others on the machine cannot see)."`
	CA     string `name:"ca" placeholder:"FILE" help:"Whom to trust for the server's certificate, PEM (default $$HOKAN_CA, else whom the machine trusts)."`
}

// connect returns a client of the server.
func (f *serverFlags) connect() (*client.Client, error) {
	if f.CA == "" {
		return client.New(f.Server, f.Token)
	}
	text, err := os.ReadFile(f.CA)
	if err != nil {
		return nil, api.NewError("invalid", "--ca "+f.CA+": "+reason(err))
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, api.NewError("invalid", "--ca "+f.CA+": no certificate in PEM")
	}
	return client.NewTrusting(f.Server, f.Token, &tls.Config{RootCAs: roots})
}

// tenantFlags name a tenant's data: on a server, or in a folder.
type tenantFlags struct {
	serverFlags
	Data   *string `placeholder:"DIR" help:"Folder of the database."`
	Tenant string  `placeholder:"T" help:"Whose data, in a folder; a token says it itself."`
	Clock  string  `placeholder:"TIME" help:"Let the clock of the folder start at this time: for drills and tests."`
}

// Validate completes the flags from the environment and refuses those that do
// not go together. The parser calls it.
func (f *tenantFlags) Validate() error {
	if err := f.serverFlags.complete(f.Data != nil); err != nil {
		return err
	}
	switch {
	case f.Server != "" && (f.Data != nil || f.Tenant != "" || f.Clock != ""):
		return errors.New("--server goes with --token, not with --data, --tenant or --clock")
	case f.Server != "":
		return nil
	case f.Data == nil:
		return errors.New("missing flags: --data=DIR and --tenant=T, or --server=URL and --token=T")
	case f.Tenant == "":
		return errors.New("missing flags: --tenant=T")
	}
	return nil
}

// complete takes from the environment what is not said, where no folder is
// meant.
func (f *serverFlags) complete(folder bool) error {
	if folder {
		if f.Server == "" && (f.Token != "" || f.CA != "") {
			return errors.New("--token and --ca go with --server, not with --data")
		}
		return nil
	}
	if f.Server == "" {
		f.Server = os.Getenv("HOKAN_SERVER")
	}
	if f.Token == "" {
		f.Token = os.Getenv("HOKAN_TOKEN")
	}
	if f.CA == "" {
		f.CA = os.Getenv("HOKAN_CA")
	}
	return nil
}

// folder returns the flags of the database where that is not on a server.
func (f *tenantFlags) folder() *dataFlags { return &dataFlags{*f.Data, f.Clock} }

func (f *tenantFlags) tenant() (model.Tenant, error) {
	name := model.Tenant(f.Tenant)
	return name, name.Validate()
}

// source answers for one tenant's data, from a folder or from a server. Its
// bodies are the endpoints'.
type source interface {
	Channels(ctx context.Context, s api.Selection) (*api.ChannelsBody, error)
	Latest(ctx context.Context, s api.Selection) (*api.LatestBody, error)
	View(ctx context.Context, r api.ViewRequest) (*api.ViewBody, error)
	Table(ctx context.Context, r api.TableRequest) (*api.TableBody, error)
	Alarms(ctx context.Context, unit string) (*api.AlarmsBody, error)
	Alarm(ctx context.Context, id, unit string) (*api.AlarmBody, error)
	CreateAlarm(ctx context.Context, r api.AlarmRequest, unit string) (*api.AlarmBody, error)
	ReplaceAlarm(ctx context.Context, id string, r api.AlarmRequest, unit string) (*api.AlarmBody, error)
	SwitchAlarm(ctx context.Context, id string, enabled bool, unit string) (*api.AlarmBody, error)
	DeleteAlarm(ctx context.Context, id string) error
	Events(ctx context.Context, r api.EventsRequest) (*api.EventsBody, error)
	export(ctx context.Context, r api.ExportRequest) (archive, error)
	life
}

// life is what is kept of a tenant's data and for how long.
type life interface {
	usage(ctx context.Context, unit string) (*api.UsageBody, error)
	usageDays(ctx context.Context, by string) (*api.UsageDaysBody, error)
	retention(ctx context.Context) (*api.RetentionBody, error)
	putRetention(ctx context.Context, rules api.RetentionBody) (*api.RetentionBody, error)
	deleteRetention(ctx context.Context) error
	effectiveRetention(ctx context.Context, s api.Selection) (*api.EffectiveBody, error)
	deleteSamples(ctx context.Context, s api.Selection) (*api.DeletedSamples, error)
	deleteChannels(ctx context.Context, s api.Selection) (*api.DeletedChannels, error)
}

// with opens the folder, or speaks to the server, for the length of do, which
// only reads.
func (f *tenantFlags) with(t *terminal, do func(source) error) error {
	return f.withAccess(t, reading, do)
}

// change opens the folder, or speaks to the server, for the length of do.
func (f *tenantFlags) change(t *terminal, do func(source) error) error {
	return f.withAccess(t, writing, do)
}

func (f *tenantFlags) withAccess(t *terminal, a access, do func(source) error) error {
	if f.Server != "" {
		c, err := f.connect()
		if err != nil {
			return err
		}
		defer c.Close()
		return do(remote{c, f.Tenant})
	}
	name, err := f.tenant()
	if err != nil {
		return err
	}
	return f.folder().withData(t, a, func(opened *api.API) error { return do(local{opened, name}) })
}

// remote is data on a server.
type remote struct {
	*client.Client
	tenant string // whose, where an administrator asks
}

// local is data in a folder.
type local struct {
	api    *api.API
	tenant model.Tenant
}

func (l local) Channels(ctx context.Context, s api.Selection) (*api.ChannelsBody, error) {
	return l.api.Channels(ctx, l.tenant, s)
}

func (l local) Latest(ctx context.Context, s api.Selection) (*api.LatestBody, error) {
	return l.api.Latest(ctx, l.tenant, s)
}

func (l local) View(ctx context.Context, r api.ViewRequest) (*api.ViewBody, error) {
	return l.api.View(ctx, l.tenant, r)
}

func (l local) Table(ctx context.Context, r api.TableRequest) (*api.TableBody, error) {
	return l.api.Table(ctx, l.tenant, r)
}

func (l local) Alarms(ctx context.Context, unit string) (*api.AlarmsBody, error) {
	return l.api.Alarms(ctx, l.tenant, unit)
}

func (l local) Alarm(ctx context.Context, id, unit string) (*api.AlarmBody, error) {
	return l.api.Alarm(ctx, l.tenant, id, unit)
}

func (l local) CreateAlarm(ctx context.Context, r api.AlarmRequest, unit string) (*api.AlarmBody, error) {
	return l.api.CreateAlarm(ctx, l.tenant, r, unit)
}

func (l local) ReplaceAlarm(ctx context.Context, id string, r api.AlarmRequest, unit string) (*api.AlarmBody, error) {
	return l.api.ReplaceAlarm(ctx, l.tenant, id, r, unit)
}

func (l local) SwitchAlarm(ctx context.Context, id string, enabled bool, unit string) (*api.AlarmBody, error) {
	return l.api.SwitchAlarm(ctx, l.tenant, id, enabled, unit)
}

func (l local) DeleteAlarm(ctx context.Context, id string) error {
	return l.api.DeleteAlarm(ctx, l.tenant, id)
}

func (l local) Events(ctx context.Context, r api.EventsRequest) (*api.EventsBody, error) {
	return l.api.Events(ctx, l.tenant, r)
}
