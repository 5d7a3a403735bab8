package tuning

import (
	"encoding/json"
	"io"
)

// WriteJSON writes the report as indented JSON. What is no limit, or unknown, is null.
func (r *Report) WriteJSON(w io.Writer) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// WriteStepsJSON writes what [Tuner.Apply] or [Tuner.Revert] did as indented JSON: an object with steps.
func WriteStepsJSON(w io.Writer, steps []Step) error {
	if steps == nil {
		steps = []Step{} // not null
	}
	b, err := json.MarshalIndent(map[string][]Step{"steps": steps}, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// bounded is n, or nil, which becomes null, if n is no limit: 2^63-1 is not a number to every reader of JSON.
func bounded(n int64) *int64 {
	if n == Unbounded {
		return nil
	}
	return &n
}

// MarshalJSON writes Holds as null if it is Unbounded.
func (r Report) MarshalJSON() ([]byte, error) {
	type plain Report // without this method
	return json.Marshal(struct {
		plain
		Holds *int64 `json:"holds"`
	}{plain(r), bounded(r.Holds)})
}

// MarshalJSON writes Holds as null if it is Unbounded.
func (f Finding) MarshalJSON() ([]byte, error) {
	type plain Finding
	return json.Marshal(struct {
		plain
		Holds *int64 `json:"holds"`
	}{plain(f), bounded(f.Holds)})
}

// MarshalJSON writes what is Unbounded as null.
func (p Prediction) MarshalJSON() ([]byte, error) {
	type plain Prediction
	return json.Marshal(struct {
		plain
		Available *int64 `json:"available"`
		Largest   *int64 `json:"largest"`
		Pressure  *int64 `json:"pressure,omitempty"`
	}{plain(p), bounded(p.Available), bounded(p.Largest), pressure(p.Pressure)})
}

func pressure(n int64) *int64 {
	if n == 0 {
		return nil
	}
	return bounded(n)
}
