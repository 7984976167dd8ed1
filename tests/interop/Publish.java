import java.io.ByteArrayOutputStream;
import java.io.FileReader;
import java.math.BigInteger;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import java.util.Scanner;
import java.util.UUID;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;

/**
 * A plain client: kafka-clients and Avro, and nothing of ours.
 * Arguments: the client's properties, the topic, the source. Standard input: a line of event id, sequence and
 * national id for each life-status event. Standard output: the partition and offset of each.
 */
public class Publish {
    public static void main(String[] args) throws Exception {
        Properties properties = new Properties();
        properties.load(new FileReader(args[0]));
        properties.put("acks", "all");
        properties.put("enable.idempotence", "true");
        String topic = args[1];
        JsonNode found = latest(topic + "-value");
        Schema schema = new Schema.Parser().parse(found.get("schema").asText());
        Mac mac = Mac.getInstance("HmacSHA256");
        byte[] domainKey = new BigInteger("01" + System.getenv("YEKBAR_DOMAIN_KEY"), 16).toByteArray();
        mac.init(new SecretKeySpec(Arrays.copyOfRange(domainKey, 1, domainKey.length), "HmacSHA256"));
        ByteArraySerializer bytes = new ByteArraySerializer();
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(properties, bytes, bytes);
                Scanner lines = new Scanner(System.in)) {
            while (lines.hasNext()) {
                byte[] eventId = bytesOf(UUID.fromString(lines.next()));
                long sequence = lines.nextLong();
                byte[] subject = Arrays.copyOf(mac.doFinal(lines.next().getBytes(StandardCharsets.US_ASCII)), 16);
                byte[] value = framed(found.get("id").asInt(), schema, event(schema, eventId, args[2], sequence, subject));
                RecordMetadata there = producer.send(new ProducerRecord<>(topic, subject, value)).get();
                System.out.println(there.partition() + " " + there.offset());
            }
        }
    }

    private static JsonNode latest(String subjectName) throws Exception {
        String url = System.getenv("SCHEMA_REGISTRY_URL") + "/subjects/" + subjectName + "/versions/latest";
        HttpRequest request = HttpRequest.newBuilder(URI.create(url)).build();
        HttpResponse<String> answer = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
        if (answer.statusCode() != 200) {
            throw new IllegalStateException("the registry answers " + answer.statusCode());
        }
        return new ObjectMapper().readTree(answer.body());
    }

    private static GenericData.Record event(Schema schema, byte[] eventId, String source, long sequence, byte[] subject) {
        GenericData.Record event = new GenericData.Record(schema);
        event.put("event_id", new GenericData.Fixed(schema.getField("event_id").schema(), eventId));
        event.put("source", source);
        event.put("sequence", sequence);
        event.put("change_kind", new GenericData.EnumSymbol(schema.getField("change_kind").schema(), "created"));
        event.put("subject", new GenericData.Fixed(schema.getField("subject").schema(), subject));
        event.put("record_key", "");
        event.put("effective_from", 1_767_225_600_000_000L); // 2026-01-01
        event.put("recorded_at", (ByteBuffer.wrap(eventId).getLong() >>> 16) * 1_000); // a UUID of version 7 has its time
        event.put("under_investigation", List.of());
        Schema bodySchema = schema.getField("body").schema().getTypes().get(1);
        GenericData.Record body = new GenericData.Record(bodySchema);
        body.put("status", new GenericData.EnumSymbol(bodySchema.getField("status").schema(), "alive"));
        event.put("body", body);
        return event;
    }

    private static byte[] framed(int schemaId, Schema schema, GenericData.Record event) throws Exception {
        ByteArrayOutputStream written = new ByteArrayOutputStream();
        written.write(ByteBuffer.allocate(5).put((byte) 0).putInt(schemaId).array());
        BinaryEncoder encoder = EncoderFactory.get().binaryEncoder(written, null);
        new GenericDatumWriter<GenericData.Record>(schema).write(event, encoder);
        encoder.flush();
        return written.toByteArray();
    }

    private static byte[] bytesOf(UUID id) {
        return ByteBuffer.allocate(16).putLong(id.getMostSignificantBits()).putLong(id.getLeastSignificantBits()).array();
    }
}
