package senses

import (
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// Options of the sources that ask for them. Zero values mean the defaults named.
type options struct {
	width, height int // of pictures in pixels; 640 x 480
	fps           int // pictures a second that are asked for; 15
	rate          int // of sound, in samples a second; 16000
	window        time.Duration
	hop           time.Duration
}

// Open returns the source that a text names:
//
//	camera:/dev/video0?size=640x480&fps=15   a USB camera (Linux)
//	mic:/dev/snd/pcmC1D0c?rate=16000         a microphone (Linux)
//	rpicam:?size=640x480&fps=15              a Raspberry Pi camera, by rpicam-vid
//	rtsp://HOST/PATH?fps=5                   a network camera, by ffmpeg
//	exec:COMMAND ARG...                      a program that writes JPEG pictures, one after the other
//	sound:COMMAND ARG...                     a program that writes mono 16-bit samples, as arecord does
//	PATH                                     a picture or sound, or a folder of them that is watched
//
// Sound comes as a WAV file of window=1s, a new one each hop=500ms. The two
// programs are started as they are, without a shell. Nothing is opened before
// [Source.Run]. An error is an [ErrSpec].
func Open(spec string) (Source, error) {
	kind, rest, found := strings.Cut(spec, ":")
	if !found || strings.ContainsAny(kind, `/\.`) || len(kind) == 1 { // C:\... is a path, too
		return openPath(spec)
	}
	switch kind {
	case "exec", "sound":
		command := strings.Fields(rest)
		if len(command) == 0 {
			return nil, specErrorf("%s: names no program", spec)
		}
		o := defaults()
		if kind == "sound" {
			return &soundChild{name: spec, command: command, options: o}, nil
		}
		return &child{name: spec, command: command}, nil
	}
	path, query, _ := strings.Cut(rest, "?")
	o := defaults()
	left, err := o.parse(query)
	if err != nil {
		return nil, specErrorf("%s: %v", spec, err)
	}
	if kind == "rtsp" || kind == "rtsps" {
		return openStream(spec, kind+":"+path, left, o), nil
	}
	if len(left) > 0 {
		for key := range left {
			return nil, specErrorf("%s: has no option %q", spec, key)
		}
	}
	switch kind {
	case "camera":
		return newCamera(spec, path, o)
	case "mic":
		return newMicrophone(spec, path, o)
	case "rpicam":
		return &child{name: spec, command: []string{
			"rpicam-vid", "--timeout", "0", "--nopreview", "--codec", "mjpeg", "--inline", "--flush",
			"--width", strconv.Itoa(o.width), "--height", strconv.Itoa(o.height), "--framerate", strconv.Itoa(o.fps), "--output", "-",
		}}, nil
	}
	return openPath(spec)
}

// openStream hands a stream to ffmpeg, with the part of the query that is not ours.
func openStream(spec, address string, query url.Values, o options) Source {
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	return &child{name: spec, command: []string{
		"ffmpeg", "-nostdin", "-loglevel", "error", "-rtsp_transport", "tcp", "-i", address,
		"-an", "-r", strconv.Itoa(o.fps), "-c:v", "mjpeg", "-q:v", "4", "-f", "image2pipe", "-",
	}}
}

func openPath(path string) (Source, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, specErrorf("%s: neither a file or folder that is there nor camera:, mic:, rpicam:, rtsp:, exec: or sound:", path)
	}
	if st.IsDir() {
		return &folder{path: path}, nil
	}
	return file(path), nil
}

func defaults() options {
	return options{width: 640, height: 480, fps: 15, rate: 16000, window: time.Second, hop: time.Second / 2}
}

// parse reads the options that it knows and returns the others.
func (o *options) parse(query string) (left url.Values, err error) {
	q, err := url.ParseQuery(query)
	if err != nil {
		return nil, err
	}
	for key, p := range map[string]*int{"fps": &o.fps, "rate": &o.rate} {
		if q.Has(key) {
			if *p, err = positive(key, q.Get(key)); err != nil {
				return nil, err
			}
			q.Del(key)
		}
	}
	for key, p := range map[string]*time.Duration{"window": &o.window, "hop": &o.hop} {
		if q.Has(key) {
			*p, err = time.ParseDuration(q.Get(key))
			if err != nil || *p < 10*time.Millisecond || *p > time.Minute {
				return nil, specErrorf("%s=%s is not a time of 10ms to 1m", key, q.Get(key))
			}
			q.Del(key)
		}
	}
	if q.Has("size") {
		w, h, _ := strings.Cut(q.Get("size"), "x")
		if o.width, err = positive("size", w); err == nil {
			o.height, err = positive("size", h)
		}
		if err != nil {
			return nil, err
		}
		q.Del("size")
	}
	return q, nil
}

func positive(key, text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 192000 {
		return 0, specErrorf("%s=%s is not a number of 1 to 192000", key, text)
	}
	return n, nil
}
