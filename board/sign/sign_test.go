package sign

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"aead.dev/minisign"
)

// testKey makes a key pair that depends on the seed alone.
func testKey(t *testing.T, seed byte) (minisign.PublicKey, minisign.PrivateKey) {
	t.Helper()
	pub, key, err := minisign.GenerateKey(rand.NewChaCha8([32]byte{seed}))
	if err != nil {
		t.Fatal(err)
	}
	return pub, key
}

func TestVerify(t *testing.T) {
	pub, key := testKey(t, 1)
	other, _ := testKey(t, 2)
	file := []byte("the bytes of a model")
	sig, err := Sign(key, bytes.NewReader(file), Claim{"kws", 7})
	if err != nil {
		t.Fatal(err)
	}
	foreign := func(comment string) []byte {
		r := minisign.NewReader(bytes.NewReader(file))
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Fatal(err)
		}
		return r.SignWithComments(key, comment, "")
	}
	tests := []struct {
		name  string
		keys  Keys
		file  []byte
		sig   []byte
		model string
		least uint64
		want  error
	}{
		{"good", Keys{other, pub}, file, sig, "kws", 7, nil},
		{"older", Keys{pub}, file, sig, "kws", 8, ErrOlder},
		{"another model", Keys{pub}, file, sig, "vww", 0, ErrOther},
		{"another key", Keys{other}, file, sig, "kws", 0, ErrForged},
		{"no key", nil, file, sig, "kws", 0, ErrForged},
		{"another file", Keys{pub}, file[1:], sig, "kws", 0, ErrForged},
		{"none", Keys{pub}, file, nil, "kws", 0, ErrUnsigned},
		{"cut off", Keys{pub}, file, sig[:len(sig)/2], "kws", 0, ErrForged},
		{"the counter changed", Keys{pub}, file, bytes.Replace(sig, []byte("counter:7"), []byte("counter:9"), 1), "kws", 0, ErrForged},
		{"minisign's own comment", Keys{pub}, file, foreign("timestamp:1\tfile:kws.whet"), "kws", 0, ErrOther},
		{"a comment with more", Keys{pub}, file, foreign("counter:7 model:kws\tfile:x"), "kws", 7, nil},
		{"not of a hash, as minisign -l makes it", Keys{pub}, file, minisign.SignWithComments(key, file, "model:kws counter:7", ""), "kws", 0, ErrForged},
		{"a counter that nothing can follow", Keys{pub}, file, foreign("model:kws counter:18446744073709551615"), "kws", 0, ErrOther},
	}
	for _, tt := range tests {
		c, err := tt.keys.Verify(bytes.NewReader(tt.file), tt.sig, tt.model, tt.least)
		if !errors.Is(err, tt.want) || tt.want == nil && (err != nil || c != (Claim{"kws", 7})) {
			t.Errorf("%s: %+v, %v; want %v", tt.name, c, err, tt.want)
		}
	}
	for at := range sig {
		bad := bytes.Clone(sig)
		bad[at] ^= 1
		if _, err := (Keys{pub}).Verify(bytes.NewReader(file), bad, "kws", 0); err == nil && !bytes.HasPrefix(sig[at:], []byte("\n")) && at > len("untrusted comment: signature from whet sign") {
			t.Errorf("byte %d of the signature can be changed", at)
		}
	}
	if _, err := Sign(key, bytes.NewReader(file), Claim{"a b", 1}); err == nil {
		t.Error("a model's name with a space is signed")
	}
}

// TestMinisign signs here and verifies with the minisign program, and the other
// way around.
func TestMinisign(t *testing.T) {
	program, err := exec.LookPath("minisign")
	if err != nil {
		t.Skip("the program minisign is not here: Debian's package minisign has it")
	}
	dir := t.TempDir()
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.Command(program, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("minisign %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	write := func(name string, b []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := []byte("the bytes of a model")
	write("kws.whet", file)
	run("-G", "-W", "-p", "k.pub", "-s", "k.sec")
	run("-S", "-s", "k.sec", "-m", "kws.whet", "-t", "model:kws counter:3")
	keys, err := ReadKeys(filepath.Join(dir, "k.pub"))
	if err != nil {
		t.Fatal(err)
	}
	if c, err := keys.VerifyFile(filepath.Join(dir, "kws.whet"), "kws", 3); err != nil || c.Counter != 3 {
		t.Errorf("what minisign has signed: %+v, %v", c, err)
	}
	key, err := ReadSecretKey(filepath.Join(dir, "k.sec"), nil)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := Sign(key, bytes.NewReader(file), Claim{"kws", 4})
	if err != nil {
		t.Fatal(err)
	}
	write("kws.whet"+Suffix, sig)
	if out := run("-V", "-p", "k.pub", "-m", "kws.whet"); !strings.Contains(out, "model:kws counter:4") {
		t.Errorf("minisign shows %s", out)
	}
}

func TestReadKeys(t *testing.T) {
	pub, _ := testKey(t, 1)
	one, err := pub.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]int{
		string(one): 1, string(one) + "\n" + string(one) + "\n": 2, "": 0, "\n": 0, "RWQ\n": 0, strings.Repeat("x", maxText+1): 0,
	} {
		name := filepath.Join(t.TempDir(), "keys")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if keys, err := ReadKeys(name); len(keys) != want || (err == nil) != (want > 0) {
			t.Errorf("%.30q: %d keys, %v", text, len(keys), err)
		}
	}
	if _, err := ReadKeys(filepath.Join(t.TempDir(), "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

// FuzzVerify gives arbitrary text for a signature: it is refused or claims what
// was signed.
func FuzzVerify(f *testing.F) {
	pub, key, err := minisign.GenerateKey(rand.NewChaCha8([32]byte{1}))
	if err != nil {
		f.Fatal(err)
	}
	file := []byte("the bytes of a model")
	sig, err := Sign(key, bytes.NewReader(file), Claim{"kws", 7})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sig)
	f.Add(sig[:len(sig)/2])
	f.Fuzz(func(t *testing.T, text []byte) {
		if c, err := (Keys{pub}).Verify(bytes.NewReader(file), text, "kws", 0); err == nil && c != (Claim{"kws", 7}) {
			t.Errorf("it claims %+v", c)
		}
	})
}
