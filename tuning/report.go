package tuning

import "io"

// placeholder until report.go is filled
func (r *Report) WriteText(w io.Writer, colour bool) error { return nil }
