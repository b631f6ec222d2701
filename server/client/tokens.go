package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/hokan-db/hokan/server/api"
)

// Tokens lists the server's tokens. It takes an administrator's token, as the
// other calls about tokens do.
func (c *Client) Tokens(ctx context.Context, unit string) (*api.TokensBody, error) {
	body := new(api.TokensBody)
	return answer(body, c.get(ctx, "/api/v1/tokens", values("unit", unit), body))
}

// CreateToken makes a token. Its secret is in this answer alone.
func (c *Client) CreateToken(ctx context.Context, r api.TokenRequest, unit string) (*api.TokenBody, error) {
	body := new(api.TokenBody)
	return answer(body, c.send(ctx, http.MethodPost, "/api/v1/tokens", values("unit", unit), r, body))
}

// RevokeToken makes a token void.
func (c *Client) RevokeToken(ctx context.Context, id string) error {
	return c.remove(ctx, "/api/v1/tokens/"+url.PathEscape(id))
}
