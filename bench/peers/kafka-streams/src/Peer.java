import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.*;

/**
 * The throttle in Kafka Streams: in-memory stores, caching and changelogs on.
 *
 * Its clock stops with the last tick processed. After that it is closed in good order, so that what it sent can be
 * read and held against the answer; none of that is on the clock.
 */
public class Peer {
    record Strategy(String name, long timeframe) {}

    static final Map<String, List<Strategy>> byTicker = new HashMap<>();
    static volatile KafkaStreams streams;
    static final AtomicLong seen = new AtomicLong(), pairs = new AtomicLong(), began = new AtomicLong();

    /** Reads Avro's zigzag integers out of one value. */
    static final class Reader {
        final byte[] b;
        int at = 5; // past the magic byte and the schema id

        Reader(byte[] b) {
            this.b = b;
        }

        long varint() {
            long r = 0;
            for (int shift = 0; ; shift += 7) {
                byte x = b[at++];
                r |= ((long) (x & 0x7f)) << shift;
                if (x >= 0) break;
            }
            return (r >>> 1) ^ -(r & 1);
        }

        String string() {
            int n = (int) varint();
            at += n;
            return new String(b, at - n, n, StandardCharsets.UTF_8);
        }
    }

    public static void main(String[] a) throws Exception {
        String broker = a[0], topic = a[1], guarantee = a[4], threads = a.length > 5 ? a[5] : "1";
        long limit = Long.parseLong(a[3]);
        JsonNode root = new ObjectMapper().readTree(new File(a[2]));
        root.fields().forEachRemaining(e -> {
            long timeframe = e.getValue().get(0).asLong();
            for (JsonNode t : e.getValue().get(1))
                byTicker.computeIfAbsent(t.asText(), k -> new ArrayList<>()).add(new Strategy(e.getKey(), timeframe));
        });
        Properties p = new Properties();
        p.put("application.id", "kafka-streams-peer-" + System.currentTimeMillis());
        p.put("bootstrap.servers", broker);
        p.put("auto.offset.reset", "earliest");
        p.put("processing.guarantee", guarantee);
        p.put("num.stream.threads", threads);
        p.put("state.dir", Files.createTempDirectory("kafka-streams-peer").toString());
        p.put("consumer.max.poll.records", "5000");
        p.put("producer.linger.ms", "20");
        p.put("producer.compression.type", "lz4");
        p.put("producer.batch.size", "262144");
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", broker))) {
            admin.createTopics(List.of(new NewTopic("kafka-streams-peer-alerts", 4, (short) 1))).all().get();
        } catch (Exception exists) { /* left from an earlier run */ }

        Topology t = new Topology();
        t.addSource("ticks", Serdes.String().deserializer(), Serdes.ByteArray().deserializer(), topic);
        t.addProcessor("throttle", () -> new Processor<String, byte[], String, String>() {
            KeyValueStore<String, Long> lastUpdate;
            KeyValueStore<String, byte[]> lastBucket;
            ProcessorContext<String, String> context;

            public void init(ProcessorContext<String, String> c) {
                context = c;
                lastUpdate = c.getStateStore("last_update");
                lastBucket = c.getStateStore("last_bucket");
            }

            public void process(Record<String, byte[]> r) {
                began.compareAndSet(0, System.nanoTime());
                Reader value = new Reader(r.value());
                String ticker = value.string();
                long ts = value.varint();
                lastUpdate.put(ticker, ts);
                List<Strategy> strategies = byTicker.get(ticker);
                if (strategies != null) {
                    byte[] old = lastBucket.get(ticker);
                    ByteBuffer buckets = old == null ? ByteBuffer.allocate(8 * strategies.size()) : ByteBuffer.wrap(old);
                    StringBuilder fired = null;
                    int count = 0;
                    for (int i = 0; i < strategies.size(); i++) {
                        Strategy s = strategies.get(i);
                        long bucket = ts - ts % s.timeframe;
                        if (buckets.getLong(8 * i) != bucket) {
                            buckets.putLong(8 * i, bucket);
                            if (fired == null) fired = new StringBuilder();
                            fired.append(s.name).append(':').append(bucket).append(',');
                            count++;
                        }
                    }
                    if (fired != null) {
                        pairs.addAndGet(count);
                        lastBucket.put(ticker, buckets.array());
                        context.forward(new Record<>(ticker, fired.toString(), ts));
                    }
                }
                if (seen.incrementAndGet() == limit) {
                    double seconds = (System.nanoTime() - began.get()) / 1e9;
                    System.out.printf("{\"peer\": \"kafka-streams %s, %s threads\", \"ticks\": %d, \"seconds\": %f, \"rate\": %f, \"pairs\": %d}%n",
                        guarantee, threads, limit, seconds, limit / seconds, pairs.get());
                    new Thread(Peer::close).start();
                }
            }
        }, "ticks");
        t.addStateStore(Stores.keyValueStoreBuilder(Stores.inMemoryKeyValueStore("last_update"), Serdes.String(), Serdes.Long()).withCachingEnabled(), "throttle");
        t.addStateStore(Stores.keyValueStoreBuilder(Stores.inMemoryKeyValueStore("last_bucket"), Serdes.String(), Serdes.ByteArray()).withCachingEnabled(), "throttle");
        t.addSink("alerts", "kafka-streams-peer-alerts", Serdes.String().serializer(), Serdes.String().serializer(), "throttle");
        streams = new KafkaStreams(t, p);
        streams.start();
    }

    /** Flush and commit what is under way; not on a thread of Kafka Streams, which would wait for itself. */
    static void close() {
        boolean clean = streams.close(Duration.ofSeconds(30));
        Runtime.getRuntime().halt(clean ? 0 : 1);
    }
}
