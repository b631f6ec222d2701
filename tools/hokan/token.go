package main

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/query"
	"github.com/hokan-db/hokan/server"
	"github.com/hokan-db/hokan/server/api"
	"github.com/hokan-db/hokan/server/auth"
	"github.com/hokan-db/hokan/server/client"
	"github.com/hokan-db/hokan/server/tenants"
)

type tokenCommand struct {
	Create tokenCreateCommand `cmd:"" help:"Make a token; its secret is shown once."`
	List   tokenListCommand   `cmd:"" help:"List tokens, without their secrets."`
	Revoke tokenRevokeCommand `cmd:"" help:"Make a token void, at once."`
}

// adminFlags name a folder, or a server with an administrator's token.
type adminFlags struct {
	serverFlags
	Data  *string `placeholder:"DIR" help:"Folder of the database."`
	Clock string  `placeholder:"TIME" help:"Let the clock of the folder start at this time: for drills and tests."`
}

// Validate completes the flags from the environment. The parser calls it.
func (f *adminFlags) Validate() error {
	if err := f.serverFlags.complete(f.Data != nil); err != nil {
		return err
	}
	switch {
	case f.Server != "" && (f.Data != nil || f.Clock != ""):
		return errors.New("--server goes with --token, not with --data or --clock")
	case f.Server == "" && f.Data == nil:
		return errors.New("missing flags: --data=DIR, or --server=URL and --token=T")
	}
	return nil
}

// run does one of two things: on a server, or in a folder.
func (f *adminFlags) run(t *terminal, a access, remote func(*client.Client) error, local func(*tenants.Store) error) error {
	if f.Server != "" {
		c, err := f.connect()
		if err != nil {
			return err
		}
		defer c.Close()
		return remote(c)
	}
	return (&dataFlags{*f.Data, f.Clock}).withData(t, a, func(opened *api.API) error {
		return asTokenError(local(opened.Tenants))
	})
}

// asTokenError gives what package auth refuses its code.
func asTokenError(err error) error {
	switch {
	case errors.Is(err, auth.ErrUnknown):
		return api.NewError("not_found", err.Error())
	case errors.Is(err, auth.ErrInvalid):
		return api.NewError("invalid", err.Error())
	}
	return err
}

type tokenCreateCommand struct {
	adminFlags
	outputFlags
	Tenant string `placeholder:"T" help:"Whose data it opens; made where it is missing."`
	Name   string `placeholder:"N" help:"What people call it."`
	Scope  string `enum:"read,write,both" default:"both" help:"read, write or both (default ${default})."`
	Admin  bool   `help:"An administrator's: for tokens and metrics, not for data."`

	SamplesPerSecond uint64 `placeholder:"N" help:"Samples written with it per second, besides what its tenant may; 0 is no limit of its own."`
}

// Help gives examples.
func (c *tokenCreateCommand) Help() string {
	return `The last line on stdout is the token. It is stored as a hash alone and cannot be
shown again.

Examples:
  hokan token create --data d --tenant t --name gateway-7 --scope write
  hokan token create --data d --tenant t --scope write --samples-per-second 1000
  hokan token create --data d --admin
  hokan token create --server http://127.0.0.1:4180 --token $ADMIN --tenant t`
}

// Run implements the command.
func (c *tokenCreateCommand) Run(t *terminal) error {
	unit, err := query.ParseUnit(c.unit())
	if err != nil {
		return err
	}
	request := api.TokenRequest{Tenant: c.Tenant, Name: c.Name, Scope: c.Scope, Admin: c.Admin, SamplesPerSecond: c.SamplesPerSecond}
	if c.Admin {
		request.Scope = ""
	} else if c.Tenant == "" {
		return api.NewError("malformed", "--tenant is missing: whose data the token opens; or --admin")
	} else if err := model.Tenant(c.Tenant).Validate(); err != nil {
		return err
	}
	return c.run(t, making,
		func(remote *client.Client) error {
			made, err := remote.CreateToken(t.ctx, request, unit.Name)
			if err != nil {
				return err
			}
			return c.show(t, made)
		},
		func(known *tenants.Store) error {
			secret, made, err := known.CreateToken(t.ctx, auth.Token{
				Tenant: model.Tenant(request.Tenant), Name: request.Name, Scope: auth.Scope(request.Scope), Admin: request.Admin,
				SamplesPerSecond: request.SamplesPerSecond,
			})
			if err != nil {
				return err
			}
			body := server.TokenBody(made, secret, unit)
			return c.show(t, &body)
		})
}

// show prints the token, in a table its secret on a line of its own.
func (c *tokenCreateCommand) show(t *terminal, body *api.TokenBody) error {
	if err := c.print(t, body, func() *grid { return tokenGrid(body.Unit, *body) }); err != nil || c.Output == "json" {
		return err
	}
	_, err := fmt.Fprintln(t.stdout, body.Token)
	return err
}

func tokenGrid(unit string, tokens ...api.TokenBody) *grid {
	times := newTimePrinter(unit)
	g := &grid{header: []string{"id", "tenant", "name", "scope", "samples per second", "created"}}
	for _, k := range tokens {
		scope := k.Scope
		if k.Admin {
			scope = "admin"
		}
		perSecond := "" // as its tenant may
		if k.SamplesPerSecond > 0 {
			perSecond = strconv.FormatUint(k.SamplesPerSecond, 10)
		}
		g.add(k.ID, k.Tenant, k.Name, scope, perSecond, times.text(k.Created))
	}
	return g
}

type tokenListCommand struct {
	adminFlags
	outputFlags
}

// Help gives an example.
func (c *tokenListCommand) Help() string {
	return `Example:
  hokan token list --data d`
}

// Run implements the command.
func (c *tokenListCommand) Run(t *terminal) error {
	unit, err := query.ParseUnit(c.unit())
	if err != nil {
		return err
	}
	show := func(body *api.TokensBody) error {
		return c.print(t, body, func() *grid { return tokenGrid(body.Unit, body.Tokens...) })
	}
	return c.run(t, reading,
		func(remote *client.Client) error {
			body, err := remote.Tokens(t.ctx, unit.Name)
			if err != nil {
				return err
			}
			return show(body)
		},
		func(known *tenants.Store) error {
			body := &api.TokensBody{Unit: unit.Name, Tokens: []api.TokenBody{}}
			for _, k := range known.Tokens().List() {
				body.Tokens = append(body.Tokens, server.TokenBody(k, "", unit))
			}
			return show(body)
		})
}

type tokenRevokeCommand struct {
	adminFlags
	ID string `arg:"" help:"The token's ID."`
}

// Help gives an example.
func (c *tokenRevokeCommand) Help() string {
	return `Example:
  hokan token revoke --data d 5f0c1d2e3a4b5c6d`
}

// Run implements the command. As the endpoint's body, its result is empty.
func (c *tokenRevokeCommand) Run(t *terminal) error {
	err := c.run(t, writing,
		func(remote *client.Client) error { return remote.RevokeToken(t.ctx, c.ID) },
		func(known *tenants.Store) error { return known.Tokens().Revoke(t.ctx, c.ID) })
	if err == nil {
		t.note("token %s is revoked, and opens nothing from now on", c.ID)
	}
	return err
}
