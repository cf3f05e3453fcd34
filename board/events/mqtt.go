package events

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
)

// MQTT sends events to a broker (MQTT 5), at least once. Its topics are
//
//	whet/NODE/MODEL/event    each event, an [Event] as JSON
//	whet/NODE/MODEL/state    the last one, retained
//	whet/NODE/available      online or offline, retained; the broker says offline when we vanish
//	whet/NODE/acknowledged   with Acks, somebody who keeps the events writes the id up to which he has them
//
// and Home Assistant's discovery, by which each model becomes a sensor.
//
// That a broker has acknowledged an event does not mean that it arrived: brokers
// keep what they have acknowledged in memory and lose it when they are killed. So an
// event leaves the outbox only when the connection has lived on for a while after the
// broker's word for it, and all that is younger is sent again on the next connection,
// marked. Only with Acks is it certain that somebody got it.
type MQTT struct {
	Address        string      // HOST:PORT of the broker
	TLS            *tls.Config // nil: not encrypted
	User, Password string
	Node           string // names this board in the topics
	Version        string // of whet
	Models         []string
	Acks           bool

	dial func(context.Context) (net.Conn, error) // tests; nil: to Address

	sent   uint64        // the highest id that may have been sent
	acked  atomic.Uint64 // the highest id that a consumer has
	client *paho.Client
}

const (
	mqttKeepAlive = 20               // seconds
	mqttPatience  = 10 * time.Second // for the broker's answer
	// settleAfter is how long the broker must live on after it has taken an event.
	settleAfter = 30 * time.Second
	// ackPatience is how long a consumer may take before events are sent to him again.
	ackPatience = 10 * time.Second

	firstWait   = time.Second
	longestWait = time.Minute
)

// Run sends the outbox's events until the context is done. Whenever the connection
// fails it is told to failed with the time until the next try.
func (m *MQTT) Run(ctx context.Context, box *Outbox, failed func(err error, wait time.Duration)) {
	m.sent = box.Loaded() // an earlier process may have sent them
	retry(ctx, failed, func() (bool, error) { return m.session(ctx, box) })
}

// retry calls f until the context is done, after waits that grow until it has some
// success.
func retry(ctx context.Context, failed func(err error, wait time.Duration), f func() (success bool, err error)) {
	wait := firstWait
	for ctx.Err() == nil {
		success, err := f()
		if ctx.Err() != nil {
			return
		}
		if success {
			wait = firstWait
		}
		failed(err, wait)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = min(2*wait, longestWait)
	}
}

func (m *MQTT) connect(ctx context.Context) (net.Conn, error) {
	if m.dial != nil {
		return m.dial(ctx)
	}
	d := &net.Dialer{Timeout: mqttPatience}
	if m.TLS != nil {
		return (&tls.Dialer{NetDialer: d, Config: m.TLS}).DialContext(ctx, "tcp", m.Address)
	}
	return d.DialContext(ctx, "tcp", m.Address)
}

// session is one connection, until it breaks. It is a success if the broker let us in.
func (m *MQTT) session(ctx context.Context, box *Outbox) (success bool, err error) {
	conn, err := m.connect(ctx)
	if err != nil {
		return false, err
	}
	defer conn.Close() // the client does, too, unless it does not get to its start
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	conf := paho.ClientConfig{
		ClientID: "whet-" + m.Node, Conn: packets.NewThreadSafeConn(conn), PacketTimeout: mqttPatience,
		OnClientError:      func(err error) { end(err) },
		OnServerDisconnect: func(d *paho.Disconnect) { end(fmt.Errorf("the broker ends the connection with code %d", d.ReasonCode)) },
		OnPublishReceived:  []func(paho.PublishReceived) (bool, error){m.received},
	}
	m.client = paho.NewClient(conf)
	hello := &paho.Connect{
		ClientID: conf.ClientID, KeepAlive: mqttKeepAlive, CleanStart: true,
		Username: m.User, UsernameFlag: m.User != "", Password: []byte(m.Password), PasswordFlag: m.Password != "",
		WillMessage: &paho.WillMessage{Topic: m.topic("available"), Payload: []byte("offline"), QoS: 1, Retain: true},
	}
	if ack, err := m.client.Connect(ctx, hello); err != nil {
		if ack != nil && ack.ReasonCode >= 0x80 {
			return false, fmt.Errorf("the broker refuses us with code %#x (0x86 and 0x87: wrong user or password): %w", ack.ReasonCode, err)
		}
		return false, errors.Join(err, context.Cause(ctx))
	}
	defer func() {
		if ctx.Err() == nil || errors.Is(context.Cause(ctx), context.Canceled) {
			m.goodbye()
		}
		if cause := context.Cause(ctx); cause != nil && err != nil {
			err = cause
		}
	}()
	if err := m.announce(ctx); err != nil {
		return true, err
	}
	return true, m.send(ctx, box)
}

// goodbye says that we are offline, which the broker would not say for a connection
// that is ended in order. That it may fail does not matter then.
func (m *MQTT) goodbye() {
	ctx, stop := context.WithTimeout(context.Background(), time.Second)
	defer stop()
	_ = m.publish(ctx, m.topic("available"), []byte("offline"), true)
	_ = m.client.Disconnect(&paho.Disconnect{})
}

func (m *MQTT) topic(rest ...string) string {
	return "whet/" + m.Node + "/" + strings.Join(rest, "/")
}

func (m *MQTT) publish(ctx context.Context, topic string, payload []byte, retain bool) error {
	ctx, stop := context.WithTimeout(ctx, mqttPatience)
	defer stop()
	_, err := m.client.Publish(ctx, &paho.Publish{Topic: topic, Payload: payload, Retain: retain, QoS: 1})
	return err
}

// announce makes us known: to those who wait, and to Home Assistant.
func (m *MQTT) announce(ctx context.Context) error {
	for _, model := range m.Models {
		topic, payload, err := m.discovery(model)
		if err == nil {
			err = m.publish(ctx, topic, payload, true)
		}
		if err != nil {
			return err
		}
	}
	if m.Acks {
		ctx, stop := context.WithTimeout(ctx, mqttPatience)
		defer stop()
		if _, err := m.client.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: m.topic("acknowledged"), QoS: 1}}}); err != nil {
			return err
		}
	}
	return m.publish(ctx, m.topic("available"), []byte("online"), true)
}

// discovery is what makes a model a sensor of Home Assistant
// (https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery).
func (m *MQTT) discovery(model string) (topic string, payload []byte, err error) {
	id := ObjectID(m.Node + "_" + model)
	payload, err = json.Marshal(map[string]any{
		"name":                  model,
		"unique_id":             "whet_" + id,
		"object_id":             "whet_" + id,
		"state_topic":           m.topic(model, "state"),
		"value_template":        "{{ value_json.label or 'nothing' }}",
		"json_attributes_topic": m.topic(model, "state"),
		"availability_topic":    m.topic("available"),
		"icon":                  "mdi:eye",
		"device":                map[string]any{"identifiers": []string{"whet_" + ObjectID(m.Node)}, "name": m.Node, "manufacturer": "whet", "sw_version": m.Version},
		"origin":                map[string]any{"name": "whet", "sw_version": m.Version},
	})
	return "homeassistant/sensor/whet_" + id + "/config", payload, err
}

// ObjectID makes a name one that topics may have, and Home Assistant's ids.
func ObjectID(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, name)
}

// received is told what comes from the broker.
func (m *MQTT) received(p paho.PublishReceived) (bool, error) {
	if p.Packet.Topic == m.topic("acknowledged") {
		if id, err := strconv.ParseUint(strings.TrimSpace(string(p.Packet.Payload)), 10, 64); err == nil {
			for old := m.acked.Load(); id > old && !m.acked.CompareAndSwap(old, id); {
				old = m.acked.Load()
			}
		}
	}
	return true, nil
}

// A taking is that the broker took the events up to one.
type taking struct {
	id uint64
	at time.Time
}

// send sends what is in the outbox and what comes into it.
func (m *MQTT) send(ctx context.Context, box *Outbox) error {
	var (
		cursor   uint64 // sent on this connection up to here
		taken    []taking
		progress = time.Now() // when the consumer last acknowledged something, or we sent
		settled  uint64
	)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		for _, e := range box.After(cursor, 64) {
			if err := m.sendEvent(ctx, e); err != nil {
				return err
			}
			cursor, progress = e.ID, time.Now()
			if !m.Acks {
				taken = append(taken, taking{e.ID, progress})
			}
		}
		before := settled
		if m.Acks {
			if id := m.acked.Load(); id > settled {
				settled, progress = min(id, m.sent), time.Now()
			}
			if left := box.After(settled, 1); len(left) > 0 && left[0].ID <= cursor && time.Since(progress) >= ackPatience {
				cursor = 0 // all again
				continue
			}
		} else {
			for len(taken) > 0 && time.Since(taken[0].at) >= settleAfter {
				settled, taken = taken[0].id, taken[1:]
			}
		}
		if settled > before {
			if err := box.Settle(settled); err != nil {
				return err
			}
		}
		// Time passes for what was sent, whether or not there is more to send.
		wait, stop := context.WithTimeout(ctx, time.Second)
		_ = box.Wait(wait, cursor)
		stop()
	}
}

func (m *MQTT) sendEvent(ctx context.Context, e Event) error {
	e.Again = e.ID <= m.sent
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	m.sent = max(m.sent, e.ID)
	if err := m.publish(ctx, m.topic(e.Model, "event"), b, false); err != nil {
		return err
	}
	return m.publish(ctx, m.topic(e.Model, "state"), b, true)
}
