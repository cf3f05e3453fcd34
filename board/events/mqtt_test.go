package events

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"

	"github.com/whet-edge/whet/format/vfs"
)

// fakeBroker takes what it is sent and keeps it. It breaks the connection when it is
// told to.
type fakeBroker struct {
	mu       sync.Mutex
	conn     net.Conn
	got      []*packets.Publish
	will     string
	sessions int
}

func (b *fakeBroker) dial(context.Context) (net.Conn, error) {
	ours, theirs := net.Pipe()
	b.mu.Lock()
	b.conn = theirs
	b.sessions++
	b.mu.Unlock()
	go b.serve(theirs)
	return ours, nil
}

func (b *fakeBroker) serve(conn net.Conn) {
	defer conn.Close()
	for {
		p, err := packets.ReadPacket(conn)
		if err != nil {
			return
		}
		var reply *packets.ControlPacket
		switch c := p.Content.(type) {
		case *packets.Connect:
			b.will = c.WillTopic + "=" + string(c.WillMessage)
			reply = packets.NewControlPacket(packets.CONNACK)
		case *packets.Publish:
			b.mu.Lock()
			b.got = append(b.got, c)
			b.mu.Unlock()
			reply = packets.NewControlPacket(packets.PUBACK)
			reply.Content.(*packets.Puback).PacketID = c.PacketID
		case *packets.Subscribe:
			reply = packets.NewControlPacket(packets.SUBACK)
			reply.Content.(*packets.Suback).PacketID = c.PacketID
			reply.Content.(*packets.Suback).Reasons = []byte{1}
		case *packets.Pingreq:
			reply = packets.NewControlPacket(packets.PINGRESP)
		default:
			return
		}
		if _, err := reply.WriteTo(conn); err != nil {
			return
		}
	}
}

func (b *fakeBroker) tell(topic, text string) {
	p := packets.NewControlPacket(packets.PUBLISH)
	c := p.Content.(*packets.Publish)
	c.Topic, c.Payload = topic, []byte(text)
	b.mu.Lock()
	defer b.mu.Unlock()
	_, _ = p.WriteTo(b.conn)
}

// events returns the events that came, as "id" or "id again".
func (b *fakeBroker) events(t *testing.T) (list []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.got {
		if strings.HasSuffix(p.Topic, "/event") {
			var e Event
			if err := json.Unmarshal(p.Payload, &e); err != nil {
				t.Fatal(err)
			}
			s := strconv.FormatUint(e.ID, 10)
			if e.Again {
				s += " again"
			}
			list = append(list, s)
		}
	}
	b.got = nil
	return list
}

func testBox(t *testing.T) *Outbox {
	box, err := OpenOutbox(vfs.NewMem(), "box", 1000)
	if err != nil {
		t.Fatal(err)
	}
	return box
}

func add(t *testing.T, box *Outbox, n int) {
	for range n {
		if _, err := box.Add(Event{Model: "cats", Label: "cat"}); err != nil {
			t.Fatal(err)
		}
	}
}

// run starts the sink and returns what ends it.
func (b *fakeBroker) run(t *testing.T, m *MQTT, box *Outbox) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	m.dial = b.dial
	var wg sync.WaitGroup
	wg.Go(func() { m.Run(ctx, box, func(error, time.Duration) {}) })
	return func() { cancel(); wg.Wait() }
}

// Events leave the outbox when the broker has lived on; what is younger when the
// connection breaks comes again, marked.
func TestMQTTSettles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box, b := testBox(t), &fakeBroker{}
		stop := b.run(t, &MQTT{Node: "hall"}, box)
		add(t, box, 2)
		time.Sleep(20 * time.Second)
		add(t, box, 1)
		time.Sleep(15 * time.Second)
		if got := b.events(t); !slices.Equal(got, []string{"1", "2", "3"}) || box.Pending() != 1 {
			t.Errorf("the broker got %q, %d are left", got, box.Pending())
		}
		b.conn.Close()
		time.Sleep(5 * time.Second)
		if got := b.events(t); !slices.Equal(got, []string{"3 again"}) || b.sessions != 2 {
			t.Errorf("after the break it got %q in session %d", got, b.sessions)
		}
		time.Sleep(settleAfter)
		if n := box.Pending(); n != 0 {
			t.Errorf("%d are left", n)
		}
		stop()
		if b.will != "whet/hall/available=offline" {
			t.Errorf("will %q", b.will)
		}
	})
}

// With a consumer that acknowledges, nothing is forgotten before he has it.
func TestMQTTAcks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box, b := testBox(t), &fakeBroker{}
		stop := b.run(t, &MQTT{Node: "hall", Acks: true}, box)
		add(t, box, 3)
		time.Sleep(2 * time.Second)
		b.tell("whet/hall/acknowledged", "1")
		time.Sleep(2 * time.Second)
		if got := b.events(t); !slices.Equal(got, []string{"1", "2", "3"}) || box.Pending() != 2 {
			t.Errorf("the broker got %q, %d are left", got, box.Pending())
		}
		time.Sleep(ackPatience + time.Second)
		if got := b.events(t); !slices.Equal(got, []string{"2 again", "3 again"}) {
			t.Errorf("later it got %q", got)
		}
		b.tell("whet/hall/acknowledged", "not a number")
		b.tell("whet/hall/acknowledged", "99")
		time.Sleep(2 * time.Second)
		if n := box.Pending(); n != 0 {
			t.Errorf("%d are left", n)
		}
		add(t, box, 1) // 99 was more than there were
		time.Sleep(2 * time.Second)
		if got := b.events(t); !slices.Equal(got, []string{"4"}) || box.Pending() != 0 {
			t.Errorf("then it got %q, %d are left", got, box.Pending())
		}
		stop()
	})
}

// Discovery has the keys that Home Assistant's sensor needs, and only known ones.
func TestDiscovery(t *testing.T) {
	m := &MQTT{Node: "hall.1", Version: "1.2"}
	topic, payload, err := m.discovery("cats v2")
	if err != nil || topic != "homeassistant/sensor/whet_hall_1_cats_v2/config" {
		t.Errorf("%s, %v", topic, err)
	}
	var got map[string]any
	if err := json.Unmarshal(payload, &got); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"name", "unique_id", "object_id", "state_topic", "value_template", "json_attributes_topic", "availability_topic", "icon", "device", "origin"} {
		if got[key] == nil {
			t.Errorf("no %s", key)
		}
		delete(got, key)
	}
	if len(got) > 0 {
		t.Errorf("unknown keys: %v", got)
	}
}

// A broker of the real kind is killed again and again while events flow: each comes
// at least once, and what comes twice is marked.
//
//	WHET_MOSQUITTO=$(command -v mosquitto) go test -run Mosquitto -v ./board/events
func TestMosquittoKilled(t *testing.T) {
	broker := os.Getenv("WHET_MOSQUITTO")
	if broker == "" {
		t.Skip("SKIPPED: WHET_MOSQUITTO does not name Debian's mosquitto")
	}
	const total, kills = 10000, 20
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	l.Close()
	conf := filepath.Join(dir, "conf")
	if err := os.WriteFile(conf, []byte("listener "+port+" 127.0.0.1\nallow_anonymous true\npersistence false\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	start := func() *exec.Cmd {
		cmd := exec.Command(broker, "-c", conf)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	box, err := OpenOutbox(vfs.OS, filepath.Join(dir, "box"), total)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	c := &consumer{address: address, first: map[uint64]bool{}}
	var wg sync.WaitGroup
	m := &MQTT{Address: address, Node: "hall", Models: []string{"cats"}, Acks: true}
	wg.Go(func() { m.Run(ctx, box, func(error, time.Duration) {}) })
	wg.Go(func() { retry(ctx, func(error, time.Duration) {}, func() (bool, error) { return c.session(ctx) }) })
	wg.Go(func() {
		for range total {
			if _, err := box.Add(Event{Model: "cats", Label: "cat"}); err != nil {
				t.Error(err)
			}
		}
	})
	cmd := start()
	for range kills {
		before := c.count()
		for c.count() < before+total/kills/4 && box.Pending() > 0 {
			time.Sleep(10 * time.Millisecond)
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		cmd = start()
	}
	for c.count() < total && ctx.Err() == nil {
		time.Sleep(50 * time.Millisecond)
	}
	for box.Pending() > 0 {
		time.Sleep(50 * time.Millisecond)
	}
	stop()
	wg.Wait()
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	t.Logf("%d events, the broker killed %d times: each arrived; %d came again, marked; %d came again without a mark", total, kills, c.again, c.unmarked)
	if c.unmarked > 0 {
		t.Error("an event came twice without a mark")
	}
}

// consumer subscribes to the events and acknowledges them.
type consumer struct {
	address string

	mu              sync.Mutex
	first           map[uint64]bool
	upTo            uint64 // all of them are there
	again, unmarked int
}

func (c *consumer) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.first)
}

func (c *consumer) session(ctx context.Context) (success bool, err error) {
	conn, err := net.Dial("tcp", c.address)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	arrived := make(chan struct{}, 1)
	client := paho.NewClient(paho.ClientConfig{ClientID: "consumer", Conn: packets.NewThreadSafeConn(conn), OnPublishReceived: []func(paho.PublishReceived) (bool, error){
		func(p paho.PublishReceived) (bool, error) {
			c.take(p.Packet.Payload)
			select {
			case arrived <- struct{}{}:
			default:
			}
			return true, nil
		},
	}})
	if _, err := client.Connect(ctx, &paho.Connect{ClientID: "consumer", KeepAlive: 5, CleanStart: true}); err != nil {
		return true, err
	}
	if _, err := client.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: "whet/hall/+/event", QoS: 1}}}); err != nil {
		return true, err
	}
	for {
		select {
		case <-ctx.Done():
			return true, nil
		case <-client.Done():
			return true, errors.New("the connection broke")
		case <-arrived:
			c.mu.Lock()
			upTo := strconv.FormatUint(c.upTo, 10)
			c.mu.Unlock()
			pub, cancel := context.WithTimeout(ctx, time.Second)
			_, err := client.Publish(pub, &paho.Publish{Topic: "whet/hall/acknowledged", QoS: 1, Payload: []byte(upTo)})
			cancel()
			if err != nil {
				return true, err
			}
		}
	}
}

func (c *consumer) take(payload []byte) {
	var e Event
	if json.Unmarshal(payload, &e) != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.first[e.ID]:
		c.first[e.ID] = true
	case e.Again:
		c.again++
	default:
		c.unmarked++
	}
	for c.first[c.upTo+1] {
		c.upTo++
	}
}
