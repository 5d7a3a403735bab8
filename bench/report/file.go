package report

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/dormouse-ws/dormouse/bench"
)

// Save writes r as indented JSON to the file path, as [WriteFile] does.
func Save(path string, r *bench.Result) error {
	return WriteFile(path, func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", " ")
		return e.Encode(r)
	})
}

// WriteFile has write fill a file beside path and then renames it to path, so that a kill or a full disk
// leaves no half file. Where path is there and is no regular file, as /dev/stdout, it is written in place.
func WriteFile(path string, write func(io.Writer) error) error {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return fill(path, os.O_WRONLY|os.O_TRUNC, write)
	}
	beside := fmt.Sprintf("%s.%d.tmp", path, os.Getpid())
	if err := fill(beside, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, write); err != nil {
		os.Remove(beside)
		return err
	}
	return os.Rename(beside, path)
}

func fill(path string, flags int, write func(io.Writer) error) error {
	f, err := os.OpenFile(path, flags, 0o666)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	return errors.Join(write(w), w.Flush(), f.Close())
}

// Load reads a file that [Save] has written. Its errors name the file and say what is wrong with it.
func Load(path string) (*bench.Result, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r, err := decode(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// decode looks at the format before the rest, which in another format may be anything.
func decode(b []byte) (*bench.Result, error) {
	var head struct {
		Format *int `json:"format"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return nil, fmt.Errorf("this is no result of dormouse bench, which --json writes: %w", err)
	}
	switch {
	case head.Format == nil:
		return nil, errors.New("this is JSON, but no result of dormouse bench, which --json writes: it has no format")
	case *head.Format != bench.ResultFormat:
		return nil, fmt.Errorf("this result has the format %d, and this program reads %d: use the version of dormouse that wrote it, or run the bench again",
			*head.Format, bench.ResultFormat)
	}
	r := &bench.Result{}
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("this result cannot be read: %w", err)
	}
	return r, nil
}
