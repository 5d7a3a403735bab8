package tuning

import (
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Numbers look as in the reports of package bench, which this package may not import.

// count writes 15000 as 15,000.
func count(n int64) string {
	if n == Unbounded {
		return "no limit"
	}
	digits, sign := strconv.FormatInt(n, 10), ""
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

// byteCount writes 268 B, 2,368 B, 14.2 KiB, 3.20 GiB.
func byteCount(n int64) string {
	if n == Unbounded {
		return "no limit"
	}
	v := float64(n)
	if math.Abs(v) < 9999.5 {
		return count(n) + " B"
	}
	units := []string{" KiB", " MiB", " GiB", " TiB"}
	i := 0
	for v /= 1 << 10; math.Abs(v) >= 999.5 && i < len(units)-1; v /= 1 << 10 {
		i++
	}
	if math.Abs(v) >= 99.95 {
		return count(int64(math.Round(v))) + units[i]
	}
	decimals := 2
	if math.Abs(v) >= 9.995 {
		decimals = 1
	}
	return strconv.FormatFloat(v, 'f', decimals, 64) + units[i]
}

// kernelNumbers writes the whole numbers in a value for people: 88560 118080 as 88,560 118,080. What is not
// numbers stays as it is.
func kernelNumbers(s string) string {
	fields := strings.Fields(s)
	for i, f := range fields {
		digits := strings.Trim(f, "(),;")
		v, err := strconv.ParseInt(digits, 10, 64)
		switch {
		case err != nil || strconv.FormatInt(v, 10) != digits: // also a bitmap, as 00000000
		case v >= 1<<62:
			fields[i] = strings.Replace(f, digits, "no limit", 1)
		default:
			fields[i] = strings.Replace(f, digits, count(v), 1)
		}
	}
	return strings.Join(fields, " ")
}

// plural is as: 1 setting, 1,200 settings.
func plural(n int64, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + one + "s"
}

// list is as: a, b and c. Of more than most it names the first ones.
func list(names []string, most int) string {
	if len(names) > most {
		rest := plural(int64(len(names)-most+1), "other")
		names = append(names[:most-1:most-1], rest)
	}
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// sentence gives s a full stop if it has none.
func sentence(s string) string {
	if s == "" || strings.ContainsAny(s[len(s)-1:], ".!?:") {
		return s
	}
	return s + "."
}

// clean makes one line for a terminal out of what a file of the host may hold: what is not to be seen, as an
// escape sequence, is replaced.
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

// wrap breaks a text at spaces into lines of at most width characters. A longer word is broken after its
// last dot, slash or comma that fits, or else its last underscore, and if there is none, where the line is full.
func wrap(text string, width int) []string {
	const most = 20_000 // characters: what is longer comes of a forged file, and a long word takes its length squared
	text, width = shorten(text, most), max(width, 1)
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= width {
			line += " " + word
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		for utf8.RuneCountInString(word) > width {
			at := breakAt(word, width)
			lines, word = append(lines, word[:at]), word[at:]
		}
		line = word
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// breakAt is how many bytes of a word longer than width go into a line of it.
func breakAt(word string, width int) int {
	end := len(string([]rune(word)[:width]))
	for _, marks := range []string{"./,", "_"} {
		if i := strings.LastIndexAny(word[:end], marks); i > 0 {
			return i + 1
		}
	}
	return end
}

// shorten cuts s after so many characters.
func shorten(s string, limit int) string {
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit-1]) + "…"
}
