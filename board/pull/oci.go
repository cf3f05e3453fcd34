package pull

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// Registries speak the OCI distribution specification 1.1. Of it a pull needs two
// requests, which are written here: the client library that others use, oras-go, would
// make whet 1.2 MB larger, a tenth of what it may have.

const (
	manifestTypes = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
	maxManifest   = 4 << 20
	// titleKey and pathKey are annotations with the name of a layer's file (OCI image
	// specification; CNCF ModelPack).
	titleKey = "org.opencontainers.image.title"
	pathKey  = "org.cncf.model.filepath"
)

type manifest struct {
	Layers []layer
}

type layer struct {
	MediaType   string
	Digest      string
	Size        int64
	Annotations map[string]string
}

func (l *layer) name() string {
	if n := l.Annotations[titleKey]; n != "" {
		return n
	}
	return l.Annotations[pathKey]
}

var repositoryName = regexp.MustCompile(`^[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$`)

// findOCI reads a manifest and chooses the layer that is the model.
func (p *Puller) findOCI(ctx context.Context, u *url.URL) (*Blob, error) {
	repo, ref := strings.TrimPrefix(u.Path, "/"), "latest"
	if name, digest, ok := strings.Cut(repo, "@"); ok {
		repo, ref = name, digest
	} else if i := strings.LastIndexByte(repo, ':'); i >= 0 {
		repo, ref = repo[:i], repo[i+1:]
	}
	if !repositoryName.MatchString(repo) || ref == "" {
		return nil, fmt.Errorf("%w: %s: oci://REGISTRY/REPOSITORY:TAG is expected", ErrReference, u)
	}
	base := &url.URL{Scheme: "https", Host: u.Host, Path: "/v2/" + repo}
	if loopback(u.Hostname()) {
		base.Scheme = "http" // a registry on this board
	}
	at := base.JoinPath("manifests", ref).String()
	text, token, err := p.manifest(ctx, at)
	if err != nil {
		return nil, err
	}
	if sum, ok := strings.CutPrefix(ref, "sha256:"); ok {
		if err := sameSHA256(text, sum); err != nil {
			return nil, fmt.Errorf("%s: %w", at, err)
		}
	}
	var m manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("pull: %s is no manifest: %w", at, err)
	}
	l, err := m.model()
	if err != nil {
		return nil, fmt.Errorf("pull: %s: %w", u, err)
	}
	b, err := l.blob(base, token)
	if err != nil {
		return nil, fmt.Errorf("pull: %s: %w", u, err)
	}
	for i := range m.Layers {
		if l := &m.Layers[i]; b.Name != "" && l.name() == b.Name+signatureMark {
			if b.Signature, err = l.blob(base, token); err != nil {
				return nil, fmt.Errorf("pull: %s: %w", u, err)
			}
		}
	}
	return b, nil
}

// blob is where a layer's bytes are.
func (l *layer) blob(base *url.URL, token string) (*Blob, error) {
	sum, ok := strings.CutPrefix(l.Digest, "sha256:")
	if !ok || !isSHA256(sum) || l.Size <= 0 {
		return nil, fmt.Errorf("digest %q and size %d of a layer cannot be used", l.Digest, l.Size)
	}
	return &Blob{URL: base.JoinPath("blobs", l.Digest).String(), Token: token, SHA256: sum, Size: l.Size, Name: l.name()}, nil
}

// model is the layer whose file is a .whet, or the only one.
func (m *manifest) model() (*layer, error) {
	var found *layer
	for i := range m.Layers {
		if l := &m.Layers[i]; strings.HasSuffix(l.name(), ".whet") {
			if found != nil {
				return nil, fmt.Errorf("has two models, %s and %s", found.name(), l.name())
			}
			found = l
		}
	}
	if found == nil && len(m.Layers) == 1 {
		found = &m.Layers[0]
	}
	if found == nil {
		return nil, fmt.Errorf("none of its %d layers is a .whet", len(m.Layers))
	}
	return found, nil
}

// manifest gets the manifest, with a token for all who ask if the registry wants one.
func (p *Puller) manifest(ctx context.Context, at string) (text []byte, token string, err error) {
	for range 2 {
		resp, err := p.ask(ctx, at, token, 0, manifestTypes)
		if err != nil {
			return nil, "", err
		}
		b, err := io.ReadAll(io.LimitReader(resp.Body, maxManifest+1))
		_ = resp.Body.Close() // all that counts has been read
		if err != nil {
			return nil, "", err
		}
		if resp.StatusCode == http.StatusOK {
			if len(b) > maxManifest {
				return nil, "", fmt.Errorf("pull: the manifest %s has more than %d bytes", at, maxManifest)
			}
			return b, token, nil
		}
		if token != "" || resp.StatusCode != http.StatusUnauthorized {
			return nil, "", fmt.Errorf("pull: %s answers %s", at, resp.Status)
		}
		if token, err = p.token(ctx, resp.Header.Get("WWW-Authenticate")); err != nil {
			return nil, "", fmt.Errorf("pull: %s: %w", at, err)
		}
	}
	return nil, "", fmt.Errorf("pull: %s asks for a token again and again", at)
}

var challengePart = regexp.MustCompile(`(\w+)="([^"]*)"`)

// token asks who the challenge names for a token (Docker's token specification).
func (p *Puller) token(ctx context.Context, challenge string) (string, error) {
	kind, rest, _ := strings.Cut(challenge, " ")
	if !strings.EqualFold(kind, "Bearer") {
		return "", fmt.Errorf("it lets in only who logs in by %q", kind)
	}
	parts := url.Values{}
	realm := ""
	for _, m := range challengePart.FindAllStringSubmatch(rest, -1) {
		if m[1] == "realm" {
			realm = m[2]
		} else if m[1] == "service" || m[1] == "scope" {
			parts.Set(m[1], m[2])
		}
	}
	u, err := url.Parse(realm)
	if err != nil || u.Scheme != "https" && !loopback(u.Hostname()) {
		return "", fmt.Errorf("its realm %q cannot be used", realm)
	}
	u.RawQuery = parts.Encode()
	resp, err := p.ask(ctx, u.String(), "", 0, "")
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var t struct {
		Token       string
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxManifest)).Decode(&t); err != nil {
		return "", fmt.Errorf("its token: %w", err)
	}
	if t.Token == "" {
		t.Token = t.AccessToken
	}
	if t.Token == "" {
		return "", fmt.Errorf("%s gives no token", u.Host)
	}
	return t.Token, nil
}
