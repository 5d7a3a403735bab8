package main

// In the package: what a report leaves out is the program's own.

import (
	"reflect"
	"testing"

	"github.com/dormouse-ws/dormouse/bench"
)

func TestRedact(t *testing.T) {
	urls := []string{"wss://monkey.example.com:4000/tokens?a=b&user_token=abc&c=d", "ws://b/?token=x"}
	r := &bench.Result{
		Config: bench.Config{
			URLs:    urls,
			Header:  []string{"Authorization: Bearer abc.def==", "Cookie: a=b; c=d", "Origin: https://keys.example.com", "X-Api-Key: 7"},
			Params:  `{"token":"a\"b","room":1,"api_key" : 12}`,
			Payload: `{"body":"%m"}`,
		},
		Target:  bench.Target{URLs: urls},
		Command: []string{"dormouse", "bench", "--url=" + urls[0], "--header", "Cookie: a=b; c=d", "--topic", "token:lobby"},
	}
	redact(r)
	left := []string{"wss://monkey.example.com:4000/tokens?a=b&user_token=***&c=d", "ws://b/?token=***"}
	want := &bench.Result{
		Config: bench.Config{
			URLs:    left,
			Header:  []string{"Authorization: ***", "Cookie: ***", "Origin: https://keys.example.com", "X-Api-Key: ***"},
			Params:  `{"token":"***","room":1,"api_key" : "***"}`,
			Payload: `{"body":"%m"}`,
		},
		Target:  bench.Target{URLs: left},
		Command: []string{"dormouse", "bench", "--url=" + left[0], "--header", "Cookie: ***", "--topic", "token:lobby"},
	}
	if !reflect.DeepEqual(r, want) {
		t.Errorf("%+v\nwant\n%+v", r, want)
	}
}
