// In-package: refs and the making of payloads are internal.
package server

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"testing"
)

func TestRefEqual(t *testing.T) {
	for _, row := range []struct {
		a, b ref
		want bool
	}{
		{`"3"`, `"3"`, true},
		{`1`, `1`, true},
		{`1`, `"1"`, false},
		{`1`, `1.0`, false},
		{`null`, ``, true},
		{`null`, `"null"`, false},
		{`""`, ``, false},
		{`""`, `null`, false},
		{`"\u0031"`, `"1"`, true},
		{`"1"`, `"2"`, false},
		{`true`, `true`, true},
		{`[1]`, `[1]`, true},
		{`""`, `0`, false},
	} {
		if row.a.equal(row.b) != row.want || row.b.equal(row.a) != row.want {
			t.Errorf("3.2: %s, %s: %v", row.a, row.b, !row.want)
		}
	}
}

func TestPayload(t *testing.T) {
	for _, row := range []struct {
		name   string
		p      Payload
		text   string
		object bool
	}{
		{"zero value", Payload{}, `{}`, true},
		{"map", JSON(map[string]int{"a": 1}), `{"a":1}`, true},
		{"no HTML escapes", JSON("<&>"), `"<&>"`, false},
		{"nil", JSON(nil), `null`, false},
		{"raw", Raw(json.RawMessage(" [1]")), ` [1]`, false},
		{"raw object", Raw(json.RawMessage(" {}")), ` {}`, true},
		{"empty raw", Raw(nil), `{}`, true},
		{"space", Raw(json.RawMessage(" ")), ` `, false},
	} {
		if string(row.p.Bytes()) != row.text || string(row.p.appendJSON(nil)) != row.text ||
			row.p.isObject() != row.object || row.p.IsBinary() || row.p.Err() != nil {
			t.Errorf("%s: %s %+v", row.name, row.p.Bytes(), row.p)
		}
	}
	if b := Binary(nil); !b.IsBinary() || len(b.Bytes()) != 0 || b.Decode(new(any)) != ErrBinaryPayload {
		t.Error("empty binary payload")
	}
	bad := JSON(math.NaN())
	var unsupported *json.UnsupportedValueError
	if !errors.As(bad.Err(), &unsupported) || bad.Decode(new(any)) != bad.Err() || bad.Bytes() != nil {
		t.Errorf("NaN: %v", bad.Err())
	}
}

func TestPayloadDecodeKeepsNumbers(t *testing.T) {
	const text = `{"big":123456789012345678901234567890,"f":0.1}`
	var v any
	if err := Raw(json.RawMessage(text)).Decode(&v); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"big": json.Number("123456789012345678901234567890"), "f": json.Number("0.1")}
	if !reflect.DeepEqual(v, want) {
		t.Errorf("%v", v)
	}
	if back := JSON(v); string(back.Bytes()) != text {
		t.Errorf("again: %s", back.Bytes())
	}
	var user struct{ User *string }
	if err := (Payload{}).Decode(&user); err != nil || user.User != nil {
		t.Errorf("zero payload: %v", err)
	}
}
