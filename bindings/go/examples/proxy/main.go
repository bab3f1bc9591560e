// Proxy is a reverse proxy before an OpenAI-compatible API, governed by libaicp.
//
//	aicp bundle seal --version 1 my-bundle
//	UPSTREAM_KEY=… go run ./examples/proxy -bundle my-bundle -upstream https://api.openai.com \
//		-store sqlite:///var/lib/aicp/ledger.db
//	curl localhost:8080/v1/chat/completions -H 'Authorization: Bearer my-own-key' -d '{"model": …}'
//
// Who asks is known by the SHA-256 of the key. A gateway before the proxy may add X-Team and X-User; with -trust they
// are believed.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	aicp "aicp.dev/go"
	"aicp.dev/go/aicphttp"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to listen on")
	upstream := flag.String("upstream", "https://api.openai.com", "where calls go")
	bundle := flag.String("bundle", "", "folder of the bundle")
	store := flag.String("store", "", "sqlite:///absolute/path or postgresql://…; without one in memory")
	trust := flag.Bool("trust", false, "believe the headers X-Team and X-User")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *listen, *upstream, *bundle, *store, *trust)
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, listen, upstream, bundle, store string, trust bool) error {
	target, err := url.Parse(upstream)
	if err != nil {
		return err
	}
	gate, err := aicp.OpenGate(aicp.GateOptions{Bundle: bundle, Store: store, Background: true})
	if err != nil {
		return err
	}
	defer gate.Close() // sends what the store does not know yet

	options := aicphttp.Options{Gate: gate, Log: func(err error) { log.Print(err) }}
	if trust {
		options.Headers = aicphttp.SubjectHeaders{Team: "X-Team", User: "X-User"}
	}
	server := &http.Server{
		Addr:              listen,
		Handler:           aicphttp.New(reverseProxy(target, os.Getenv("UPSTREAM_KEY")), options),
		ReadHeaderTimeout: 10 * time.Second,
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		<-ctx.Done()
		end, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		_ = server.Shutdown(end) // calls under way end first
	}()
	log.Printf("libaicp %s governs %s on %s", aicp.Version(), upstream, listen)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	<-drained
	return nil
}

// reverseProxy sends calls to the upstream with its own key, when one is given.
func reverseProxy(target *url.URL, key string) http.Handler {
	proxy := httputil.NewSingleHostReverseProxy(target)
	direct := proxy.Director
	proxy.Director = func(r *http.Request) {
		direct(r)
		r.Host = target.Host
		if key != "" {
			r.Header.Set("Authorization", "Bearer "+key)
			r.Header.Del("X-Api-Key")
		}
	}
	return proxy
}
