package main

import (
	"net/http"
	"strings"
	"sync"
)

// exchange is what one request asked for and how it was answered.
type exchange struct {
	method, path, query       string
	requestType, responseType string
	status                    int
}

// traffic records what goes over the wire, so that checks can tell protobuf from JSON.
type traffic struct {
	mu        sync.Mutex
	exchanges []exchange
}

type recorder struct {
	traffic *traffic
	next    http.RoundTripper
}

func (t *traffic) wrap(next http.RoundTripper) http.RoundTripper { return recorder{t, next} }

func (r recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := r.next.RoundTrip(request)
	if err == nil {
		r.traffic.mu.Lock()
		defer r.traffic.mu.Unlock()
		r.traffic.exchanges = append(r.traffic.exchanges, exchange{
			method: request.Method, path: request.URL.Path, query: request.URL.RawQuery,
			requestType: request.Header.Get("Content-Type"), responseType: response.Header.Get("Content-Type"),
			status: response.StatusCode,
		})
	}
	return response, err
}

// since returns the exchanges after a mark that are for a path with this ending.
func (t *traffic) since(mark int, suffix string) (found []exchange) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.exchanges[mark:] {
		if strings.HasSuffix(e.path, suffix) {
			found = append(found, e)
		}
	}
	return found
}

func (t *traffic) mark() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.exchanges)
}
