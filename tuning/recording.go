package tuning

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"golang.org/x/tools/txtar"
)

const (
	recordingVersion = "recording 1"

	// What a recording may be at most, so that a hostile one costs little: 200 MiB. A host with 16
	// interfaces of 256 queues each makes some 8,000 names and 1 MiB; a cgroup's path has some 15 elements.
	maxRecording     = 16 << 20 // bytes
	maxRecordedNames = 20_000
	maxRecordedDepth = 32
	maxRecordedName  = 1024 // bytes
)

// A recording is the files of a host as they were. proc/PID/fd is a file in it, as for [files].
type recording struct {
	contents   map[string]string
	unreadable map[string]bool
	failed     map[string]string   // the text of the error
	listed     map[string][]string // directories, with the names in them

	// implied has the directories that must be there for the rest to be, and what is known to be in them.
	// A recording written by hand need not list them.
	implied map[string]map[string]bool
}

func newRecording() *recording {
	return &recording{
		contents: map[string]string{}, unreadable: map[string]bool{}, failed: map[string]string{},
		listed: map[string][]string{}, implied: map[string]map[string]bool{},
	}
}

func (r *recording) ReadFile(name string) ([]byte, error) {
	if content, ok := r.contents[name]; ok {
		return []byte(content), nil
	}
	if r.unreadable[name] {
		return nil, &fs.PathError{Op: "open", Path: "/" + name, Err: syscall.EACCES}
	}
	if text, ok := r.failed[name]; ok {
		return nil, errors.New(text)
	}
	if r.isDir(name) {
		return nil, &fs.PathError{Op: "read", Path: "/" + name, Err: syscall.EISDIR}
	}
	return nil, &fs.PathError{Op: "open", Path: "/" + name, Err: syscall.ENOENT}
}

func (r *recording) ReadDir(name string) ([]string, error) {
	if names, ok := r.listed[name]; ok {
		return slices.Clone(names), nil
	}
	if r.unreadable[name] {
		return nil, &fs.PathError{Op: "open", Path: "/" + name, Err: syscall.EACCES}
	}
	if names := r.implied[name]; names != nil {
		return slices.Sorted(maps.Keys(names)), nil
	}
	if text, ok := r.failed[name]; ok {
		return nil, errors.New(text)
	}
	if _, ok := r.contents[name]; ok {
		return nil, &fs.PathError{Op: "readdirent", Path: "/" + name, Err: syscall.ENOTDIR}
	}
	return nil, &fs.PathError{Op: "open", Path: "/" + name, Err: syscall.ENOENT}
}

func (r *recording) isDir(name string) bool {
	_, listed := r.listed[name]
	return listed || r.implied[name] != nil
}

// knows reports whether it was read, or tried to be, as a file.
func (r *recording) knows(name string) bool {
	_, read := r.contents[name]
	_, failed := r.failed[name]
	return read || failed || r.unreadable[name]
}

// names yields all names that it holds, some more than once.
func (r *recording) names() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, s := range []iter.Seq[string]{
			maps.Keys(r.contents), maps.Keys(r.unreadable), maps.Keys(r.failed), maps.Keys(r.listed),
		} {
			for name := range s {
				if !yield(name) {
					return
				}
			}
		}
		for dir, names := range r.listed {
			for _, name := range names {
				if !yield(dir + "/" + name) {
					return
				}
			}
		}
	}
}

// checkName says what is wrong with the name of a file: those that are read lie below four directories, and
// the lines of a recording hold no others.
func checkName(name string) error {
	first, _, below := strings.Cut(name, "/")
	switch {
	case !fs.ValidPath(name):
		return errors.New("want a path without a / in front, and no element that is empty, . or .. in it")
	case !below || !among(first, "proc", "sys", "etc", "run") && !ofSystemd(name):
		return errors.New("want a file below proc, sys, etc or run, or of systemd below usr")
	case len(name) > maxRecordedName || strings.Count(name, "/") >= maxRecordedDepth:
		return fmt.Errorf("want %d bytes and %d elements at most", maxRecordedName, maxRecordedDepth)
	case strings.ContainsFunc(name, unprintable) || strings.ContainsFunc(name, unicode.IsSpace):
		return errors.New("want no spaces and no control characters in it")
	}
	return nil
}

// ParseRecording reads what [Record] wrote, or somebody by hand: a line "recording 1", lines beginning
// with # for people, "page BYTES", "env NAME "VALUE"", "unreadable NAME", and files as in txtar.
// An error names the line.
func ParseRecording(data []byte) (*Host, error) {
	if len(data) > maxRecording {
		return nil, fmt.Errorf("tuning: a recording of %d bytes: want %d at most", len(data), maxRecording)
	}
	if line, err := checkBytes(data); err != nil {
		return nil, lineError(line, err)
	}
	archive := txtar.Parse(data)
	p := &recordingParser{recording: newRecording(), env: map[string]string{}, quoted: map[string]int{}}
	line, err := p.head(string(archive.Comment))
	for _, f := range archive.Files {
		if err != nil {
			break
		}
		line++ // of the marker
		if err = p.file(f.Name, string(f.Data), line); err == nil {
			line += bytes.Count(f.Data, []byte("\n"))
		}
	}
	if err != nil {
		return nil, lineError(line, err)
	}
	for name, line := range p.quoted {
		if _, ok := p.contents[name]; !ok {
			return nil, lineError(line, fmt.Errorf("there is no file %s", name))
		}
	}
	if err := p.imply(); err != nil {
		return nil, fmt.Errorf("tuning: no recording: %w", err)
	}
	env := p.env
	return &Host{files: p.recording, env: func(name string) string { return env[name] }, page: p.page}, nil
}

func lineError(line int, err error) error {
	return fmt.Errorf("tuning: no recording: line %d: %w", max(line, 1), err)
}

// checkBytes looks for what no recording holds, and returns the line where it is.
func checkBytes(data []byte) (line int, err error) {
	for l := range bytes.Lines(data) {
		line++
		switch {
		case !utf8.Valid(l):
			return line, errors.New("it is not UTF-8")
		case l[len(l)-1] != '\n':
			return line, errors.New("it has no end: the recording is cut off")
		case bytes.HasSuffix(l, []byte("\r\n")):
			return line, errors.New("it ends with a carriage return: the file was changed on its way")
		case bytes.ContainsFunc(l, unprintable):
			return line, errors.New("it has a control character")
		case bytes.HasPrefix(l, []byte("-- ")) && !bytes.HasSuffix(l, []byte(" --\n")):
			return line, errors.New("it begins as a file's marker does, and does not end so")
		}
	}
	return line, nil
}

type recordingParser struct {
	*recording
	env    map[string]string
	page   int64
	quoted map[string]int // the lines that say so
	dirs   map[string]map[string]bool
	count  int  // of names
	opened bool // by the line with the version
}

// head reads the lines before the first file, and returns the number of the last that it read.
func (p *recordingParser) head(comment string) (line int, err error) {
	p.dirs = map[string]map[string]bool{}
	for l := range strings.Lines(comment) {
		line++
		l = strings.TrimSuffix(l, "\n")
		if l == "" || l[0] == '#' {
			continue
		}
		if !p.opened {
			if p.opened = l == recordingVersion; !p.opened {
				return line, fmt.Errorf("%q: want %q first", clip(l), recordingVersion)
			}
			continue
		}
		word, rest, _ := strings.Cut(l, " ")
		if err := p.directive(word, rest, line); err != nil {
			return line, fmt.Errorf("%s: %w", clip(l), err)
		}
	}
	switch {
	case !p.opened:
		return line, fmt.Errorf("want a line %q before the files", recordingVersion)
	case p.page == 0:
		return line, errors.New(`want a line "page 4096", or what a page has in bytes, before the files`)
	}
	for dir, names := range p.dirs {
		p.listed[dir] = slices.Sorted(maps.Keys(names))
	}
	return line, nil
}

// directive reads a line before the files:
//
//	page BYTES            of a page of memory
//	env NAME "VALUE"
//	unreadable FILE       there is no permission to
//	failed FILE "TEXT"    reading it is another error
//	directory DIR         has the entries that follow, and no others
//	entry DIR/NAME
//	quoted FILE           its content is one line in quotes, as in Go
func (p *recordingParser) directive(word, rest string, line int) error {
	switch word {
	case "page":
		return p.setPage(rest)
	case "env":
		return p.setEnv(rest)
	}
	name, text, more := strings.Cut(rest, " ")
	if err := p.counted(name); err != nil {
		return err
	}
	if more != (word == "failed") {
		return errors.New("want a name after it, and a text after that of what failed alone")
	}
	switch word {
	case "unreadable":
		if p.knows(name) {
			return errors.New("it is there twice")
		}
		p.unreadable[name] = true
	case "failed":
		s, err := strconv.Unquote(text)
		if err != nil || text[0] != '"' || p.knows(name) {
			return errors.New("want a text in quotes, once")
		}
		p.failed[name] = s
	case "directory":
		if p.dirs[name] != nil {
			return errors.New("it is there twice")
		}
		p.dirs[name] = map[string]bool{}
	case "entry":
		dir, base := path.Split(name)
		names := p.dirs[strings.TrimSuffix(dir, "/")]
		if names == nil || names[base] {
			return errors.New("want its directory before it, and it there once")
		}
		names[base] = true
	case "quoted":
		if p.quoted[name] != 0 {
			return errors.New("it is there twice")
		}
		p.quoted[name] = line
	default:
		return errors.New("no such word")
	}
	return nil
}

// setPage takes the page sizes that Linux has had: 4 KiB to 1 MiB.
func (p *recordingParser) setPage(s string) error {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 4<<10 || n > 1<<20 || n&(n-1) != 0 || p.page != 0 {
		return errors.New("want a power of two of 4096 to 1048576, once")
	}
	p.page = n
	return nil
}

func (p *recordingParser) setEnv(s string) error {
	name, text, _ := strings.Cut(s, " ")
	value, err := strconv.Unquote(text)
	_, twice := p.env[name]
	if err != nil || text[0] != '"' || twice || !among(name, recordedVariables()...) {
		return fmt.Errorf("want one of %s and its value in quotes, once", strings.Join(recordedVariables(), ", "))
	}
	p.env[name] = value
	return nil
}

// counted checks a name, and that there are not too many.
func (p *recordingParser) counted(name string) error {
	if p.count++; p.count > maxRecordedNames {
		return fmt.Errorf("want %d names at most", maxRecordedNames)
	}
	return checkName(name)
}

func (p *recordingParser) file(name, content string, line int) error {
	if err := p.counted(name); err != nil {
		return fmt.Errorf("%q: %w", clip(name), err)
	}
	if p.knows(name) {
		return fmt.Errorf("%s is there twice", name)
	}
	if p.quoted[name] != 0 {
		quoted := strings.TrimSuffix(content, "\n")
		s, err := strconv.Unquote(quoted)
		if err != nil || quoted[0] != '"' {
			return fmt.Errorf("%s is to be quoted: want one line in quotes after this one", name)
		}
		content = s
	}
	p.contents[name] = content
	return nil
}

// imply finds the directories that are not listed, and refuses files in files.
func (r *recording) imply() error {
	for name := range r.names() {
		for dir := path.Dir(name); dir != "."; name, dir = dir, path.Dir(dir) {
			if r.implied[dir][path.Base(name)] {
				break // and so are those above
			}
			if r.implied[dir] == nil {
				r.implied[dir] = map[string]bool{}
			}
			r.implied[dir][path.Base(name)] = true
		}
	}
	for name := range r.contents {
		if r.isDir(name) {
			return fmt.Errorf("%s is a file, and a directory with others in it", name)
		}
	}
	return nil
}
