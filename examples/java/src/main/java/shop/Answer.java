package shop;

import java.util.Map;

/** What a request is answered; the body becomes JSON. */
record Answer(int status, Object body) {
  static Answer error(int status, String word) {
    return new Answer(status, Map.of("error", word));
  }
}
