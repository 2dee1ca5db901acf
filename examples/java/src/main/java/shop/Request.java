package shop;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.net.httpserver.HttpExchange;
import java.io.IOException;

/** A request on a route. */
final class Request {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final int LARGEST_BODY = 10_000;

  final HttpExchange exchange;
  /** What follows the route's path; "" where nothing does. */
  final String parameter;

  private JsonNode body;

  /** Said of a body that is not what the route asks for. */
  static final class Unreadable extends Exception {
    private static final long serialVersionUID = 1L;
  }

  Request(HttpExchange exchange, String parameter) {
    this.exchange = exchange;
    this.parameter = parameter;
  }

  /** The text under a key of the body. */
  String text(String key) throws IOException, Unreadable {
    if (body == null) {
      body = read();
    }
    JsonNode value = body.path(key);
    if (!value.isTextual()) {
      throw new Unreadable();
    }
    return value.textValue();
  }

  /** The token of the Authorization header; "" without one. */
  String bearerToken() {
    String header = exchange.getRequestHeaders().getFirst("Authorization");
    return header != null && header.startsWith("Bearer ") ? header.substring("Bearer ".length()) : "";
  }

  private JsonNode read() throws IOException, Unreadable {
    try {
      return JSON.readTree(exchange.getRequestBody().readNBytes(LARGEST_BODY));
    } catch (JsonProcessingException noJson) {
      throw new Unreadable();
    }
  }
}
