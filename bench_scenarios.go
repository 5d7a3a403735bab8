package main

import "github.com/dormouse-ws/dormouse/bench"

// A benchScenario is what its command says of a scenario, and which flags mean something to it. Defaults are
// those of bench.Config.Check.
type benchScenario struct {
	name    string // one of bench.Scenarios
	short   string
	long    string
	example string

	plain    bool   // it can do without topics
	rate     string // what --rate counts; "": it sends nothing
	duration string // what --duration is for; "": nothing
	hold     string // likewise --hold
	reply    bool   // what it sends is answered, and not broadcast

	rooms, active, slow bool // it has that flag

	connections int // when nobody says, at most; 0: defaultConnections
}

const sending = "messages are sent for so long"

// benchScenarios are in the order of bench.Scenarios.
func benchScenarios() []benchScenario {
	return []benchScenario{
		connectScenario(), broadcastScenario(), roomsScenario(), chatScenario(), echoScenario(), stormScenario(), slowScenario(),
	}
}

func connectScenario() benchScenario {
	return benchScenario{
		name:  "connect",
		short: "Users arrive, join and stay: what a connection costs, and how long it takes",
		long: `Users arrive at a rate that does not wait for the target, join a topic, and stay
with a heartbeat each 30 s.

Read the ledger first: the memory of one connection, by part, of target, kernel
and generator. It is the slope between two numbers of connections (--plateau and
all), so that the base of a process does not count. "connect" is the time from
when a user was due to the end of its upgrade: a target that falls behind shows
it there, for all who had to wait.`,
		example: `  dormouse bench connect
  dormouse bench connect --url ws://chat.example.com/socket --connections 50k
  dormouse bench connect --phase 10s@100/s --phase 20s@500/s --hold 1m`,
		plain: true,
		hold:  "keep the connections for so long once all are there",
	}
}

func broadcastScenario() benchScenario {
	return benchScenario{
		name:  "broadcast",
		short: "One topic with all users: time to the first, the median and the last subscriber",
		long: `All users are in one topic, and messages are sent to it at a rate.

"first", "median" and "last" are the times from when a message was due until the
first of its subscribers, half of them, and all have it; "deliver" is over all
deliveries. Each delivery is counted: the run fails when one is missing or comes
twice, and names the messages.`,
		example: `  dormouse bench broadcast
  dormouse bench broadcast --connections 10k --rate 5 --html report.html
  dormouse bench broadcast --url ws://localhost:4000 --event new_msg --payload '{"body":"%m"}'`,
		rate:     "messages sent each second; left alone, less for many users",
		duration: sending,
	}
}

func roomsScenario() benchScenario {
	return benchScenario{
		name:  "rooms",
		short: "Many topics, and messages over all of them: fan-out as an application has it",
		long: `Users are spread evenly over --rooms topics, of 1,000 each unless told, and
messages are sent, each to one of them at random.

Read it as broadcast; the distance between the two is what many small fan-outs
cost beside one large.`,
		example: `  dormouse bench rooms
  dormouse bench rooms --connections 10k --rooms 100 --rate 500`,
		rate:     "messages sent each second, over all rooms; left alone, less for large ones",
		duration: sending,
		rooms:    true,
	}
}

func chatScenario() benchScenario {
	return benchScenario{
		name:  "chat",
		short: "Users arrive, talk, change rooms and leave, at random: churn and messages together",
		long: `Users do what people do in a chat, at random from --seed: 85 in 100 actions are a
message to the room, 10 a change to another room, and with 5 one goes, to come
back after 1 to 5 seconds. Each message must reach those who were in the room all
the while it was on its way.

Read "deliver" for what the people feel, and "join" for what a change of rooms
takes; the run fails when a delivery is missing.`,
		example: `  dormouse bench chat
  dormouse bench chat --connections 5k --rooms 50 --rate 200 --duration 30s --seed 1`,
		rate:     "actions each second, over all users; left alone, less for large rooms",
		duration: "users act for so long",
		rooms:    true,
	}
}

func echoScenario() benchScenario {
	return benchScenario{
		name:  "echo",
		short: "Requests and replies at a rate, with idle connections beside them",
		long: `Of all users --active send requests, and the others stay idle: what is the
target's latency with so many connections beside?

"echo" counts from when a request was due, so that a stall is seen by all the
requests that it held up. With the protocol websocket a message is expected back
as it was sent.`,
		example: `  dormouse bench echo
  dormouse bench echo --connections 10k --active 100 --rate 5k
  dormouse bench echo --url ws://localhost:8080/ --protocol websocket`,
		plain:    true,
		rate:     "requests each second, over all active users",
		duration: "requests are sent for so long",
		reply:    true,
		active:   true,
	}
}

func stormScenario() benchScenario {
	return benchScenario{
		name:  "storm",
		short: "All connections drop at once and come back, as after a restart",
		long: `Once all users are there, all connections are reset at once, and come back as
phoenix.js does: after 10 ms, and while that fails after 50, 100, 150, 200, 250,
500, 1000, 2000 and then each 5000 ms; then they join again.

Read how long it took until all were joined again, "rejoin" for what one user
waited, and the target's peak memory, for which its host must have room.`,
		example: `  dormouse bench storm
  dormouse bench storm --connections 5k --html storm.html`,
		plain:    true,
		duration: "all must be back within this time",
	}
}

func slowScenario() benchScenario {
	return benchScenario{
		name:  "slow",
		short: "A share of the readers stops reading: what the others and the server's memory see",
		long: `All users are in one topic with messages at a rate. After a quarter of the time
--slow of them stop reading, and in the last quarter they read again. A server
must bound what it keeps for them, and the others must not wait.

Read the table of the others' deliveries before, while and after, with the
target's memory. Who was cut off for being slow is counted apart, with how and
when: that is the target's limit at work, and no error. Most see it only when
they read again, behind what the kernel has kept for them.`,
		example: `  dormouse bench slow
  dormouse bench slow --connections 1k --slow 20% --rate 20 --size 3k`,
		rate:     "messages sent each second; left alone, less for many users",
		duration: "messages are sent for so long: for half of it some do not read",
		slow:     true,

		connections: 500, // so that each can be sent much
	}
}

// defaults are those of a scenario. What depends on the connections is 0.
func (s benchScenario) defaults() bench.Config {
	cfg, _ := bench.Config{Scenario: s.name, URLs: []string{"ws://localhost"}, Connections: 1}.Check()
	cfg.URLs, cfg.Connections, cfg.Active, cfg.Rooms, cfg.Plateau, cfg.Seed = nil, 0, 0, 0, 0, 0
	return cfg
}
