package sample

import (
	"context"
	"errors"
	"net/http"
)

// ScrapeMetrics reads metrics in the Prometheus text format.
func ScrapeMetrics(ctx context.Context, client *http.Client, url string) (Process, error) {
	return Process{}, errors.New("sample: this build cannot read metrics")
}
