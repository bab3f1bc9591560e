package aicphttp

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"

	aicp "aicp.dev/go"
)

// KeyOf is the hex SHA-256 of the caller's API key, from "Authorization: Bearer" or "x-api-key"; "" without one.
func KeyOf(r *http.Request) string {
	key := r.Header.Get("X-Api-Key")
	const scheme = "bearer "
	if value := r.Header.Get("Authorization"); len(value) > len(scheme) &&
		strings.EqualFold(value[:len(scheme)], scheme) {
		key = strings.TrimSpace(value[len(scheme):])
	}
	if key == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

func (n SubjectHeaders) subject(r *http.Request) (aicp.Request, error) {
	of := func(name string) string {
		if name == "" {
			return ""
		}
		return r.Header.Get(name)
	}
	ask := aicp.Request{
		Key: KeyOf(r), KeyAlias: of(n.KeyAlias), User: of(n.User), Team: of(n.Team), Org: of(n.Org),
		EndUser: of(n.EndUser), Role: of(n.Role), IP: of(n.IP), CallID: of(n.CallID), Source: "aicphttp",
	}
	if ask.IP == "" {
		ask.IP = remoteIP(r)
	}
	for _, tag := range strings.Split(of(n.Tags), ",") {
		if tag = strings.TrimSpace(tag); tag != "" {
			ask.Tags = append(ask.Tags, tag)
		}
	}
	return ask, nil
}

// remove takes the headers out that must not be sent on.
func (n SubjectHeaders) remove(h http.Header) {
	for _, name := range []string{n.KeyAlias, n.User, n.Team, n.Org, n.EndUser, n.Role, n.IP, n.CallID, n.Tags} {
		if name != "" {
			h.Del(name)
		}
	}
}
