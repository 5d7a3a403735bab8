package report

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Units of figures and of charts. A bench.Figure may have ms too.
const (
	unitNone    = ""
	unitSeconds = "s"
	unitMillis  = "ms"
	unitBytes   = "B"
	unitRate    = "/s"
	unitTraffic = "B/s"
	unitCPUs    = "cpu" // processors
	unitPercent = "%"
)

// inUnit writes a value for people.
func inUnit(v float64, unit string) string {
	switch unit {
	case unitSeconds:
		return seconds(v)
	case unitMillis:
		return seconds(v / 1e3)
	case unitBytes:
		return byteCount(v)
	case unitTraffic:
		return byteCount(v) + "/s"
	case unitNone:
		return number(v)
	case unitRate:
		return number(v) + unit
	case unitCPUs:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return number(v) + " " + unit
}

// Count writes 15000 as 15,000, Bytes 3436000000 as 3.20 GiB, and Duration 845 µs with three digits in the
// unit that suits it, as everything in a report is written.
func Count(n int64) string            { return count(n) }
func Bytes(n int64) string            { return byteCount(float64(n)) }
func Duration(d time.Duration) string { return duration(d) }

// count writes 15000 as 15,000.
func count(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return sign + b.String()
}

// number writes a whole number with all its digits, and of another the first three.
func number(v float64) string {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "unknown"
	case math.Abs(v) >= 1<<62:
		return strconv.FormatFloat(v, 'g', 3, 64)
	case math.Abs(v) >= 99.95 || v == math.Trunc(v):
		return count(int64(math.Round(v)))
	}
	return threeDigits(v)
}

// threeDigits writes the first three digits of a number between -1,000 and 1,000, of one below 0.01 less.
func threeDigits(v float64) string {
	decimals := 2
	for limit := 9.995; decimals > 0 && math.Abs(v) >= limit; limit *= 10 {
		decimals--
	}
	return strconv.FormatFloat(v, 'f', decimals, 64)
}

func duration(d time.Duration) string { return seconds(d.Seconds()) }

// seconds writes a time with three digits in the unit that suits it, from a minute on as 2m 05s.
func seconds(s float64) string {
	abs := math.Abs(s)
	switch {
	case math.IsNaN(s) || abs > math.MaxInt32:
		return "unknown"
	case s == 0:
		return "0"
	case abs < 999.5e-9:
		return threeDigits(s*1e9) + " ns"
	case abs < 999.5e-6:
		return threeDigits(s*1e6) + " µs"
	case abs < 999.5e-3:
		return threeDigits(s*1e3) + " ms"
	case abs < 59.95:
		return threeDigits(s) + " s"
	}
	return minutes(int64(math.Round(s)))
}

// minutes writes whole seconds: 59s, 1m 05s, 2h 00m.
func minutes(s int64) string {
	pad := func(n int64) string { return strconv.FormatInt(100+n, 10)[1:] }
	switch {
	case s < 60:
		return strconv.FormatInt(s, 10) + "s"
	case s < 3600:
		return strconv.FormatInt(s/60, 10) + "m " + pad(s%60) + "s"
	}
	return strconv.FormatInt(s/3600, 10) + "h " + pad(s/60%60) + "m"
}

// byteCount writes 268 B, 2,368 B, 14.2 KiB, 3.20 GiB.
func byteCount(v float64) string {
	if math.Abs(v) < 9999.5 {
		return number(math.Round(v)) + " B"
	}
	units := []string{" KiB", " MiB", " GiB", " TiB"}
	i := 0
	for v /= 1 << 10; math.Abs(v) >= 999.5 && i < len(units)-1; v /= 1 << 10 {
		i++
	}
	return number(v) + units[i]
}

// clean makes one line of text for a terminal out of what somebody else said: what is not to be seen, as
// an escape sequence, is replaced.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case !unicode.IsGraphic(r):
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// shorten cuts s after so many characters.
func shorten(s string, limit int) string {
	if r := []rune(s); len(r) > limit {
		return string(r[:limit-1]) + "…"
	}
	return s
}

// wrap breaks a text at spaces into lines of at most width characters, but for a longer word.
func wrap(text string, width int) []string {
	var lines []string
	line, length := "", 0
	for _, word := range strings.Fields(text) {
		n := len([]rune(word))
		if length > 0 && length+1+n > width {
			lines, line, length = append(lines, line), "", 0
		}
		if length > 0 {
			line, length = line+" ", length+1
		}
		line, length = line+word, length+n
	}
	if length > 0 {
		lines = append(lines, line)
	}
	return lines
}
