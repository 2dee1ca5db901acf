package shop;

/**
 * A check's "no". The reason is for telemetry, and one of a closed list, because alerts carry it as a label; status and
 * answer are for the client, who may be told less.
 */
final class Refusal extends Exception {
  private static final long serialVersionUID = 1L;

  final String reason;
  final int status;
  final String answer;

  Refusal(String reason, int status, String answer) {
    super(reason);
    this.reason = reason;
    this.status = status;
    this.answer = answer;
  }

  Refusal(String reason, int status) {
    this(reason, status, reason);
  }
}
