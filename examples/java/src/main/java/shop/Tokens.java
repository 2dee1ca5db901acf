package shop;

import static shop.Telemetry.AUTH_METHOD;
import static shop.Telemetry.USER_ID;
import static shop.Telemetry.USER_ROLES;

import com.auth0.jwt.JWT;
import com.auth0.jwt.JWTVerifier;
import com.auth0.jwt.algorithms.Algorithm;
import com.auth0.jwt.exceptions.JWTVerificationException;
import com.auth0.jwt.exceptions.TokenExpiredException;
import com.auth0.jwt.interfaces.DecodedJWT;
import io.opentelemetry.api.common.Attributes;
import java.time.Instant;
import java.util.List;

/** Tokens that say who somebody is and what they may do: JWT, HS256. */
final class Tokens {
  private static final String ISSUER = "shop";

  private final Telemetry telemetry;
  private final Algorithm key;
  private final JWTVerifier verifier;
  private final long seconds;

  Tokens(Telemetry telemetry, String key, long seconds) {
    this.telemetry = telemetry;
    this.key = Algorithm.HMAC256(key);
    this.verifier = JWT.require(this.key).withIssuer(ISSUER).withClaimPresence("exp").build();
    this.seconds = seconds;
  }

  String issue(Account account) {
    Instant now = Instant.now();
    return JWT.create()
        .withSubject(account.id())
        .withClaim("role", account.role())
        .withClaim("customer", account.customer())
        .withIssuedAt(now)
        .withExpiresAt(now.plusSeconds(seconds))
        .withIssuer(ISSUER)
        .sign(key);
  }

  /** auth.token_validate: whose token it is. */
  Account validate(Request request, String token) throws Exception {
    Attributes known = telemetry.from(request.exchange).put(AUTH_METHOD, "bearer").build();
    return telemetry.check("auth.token_validate", known, span -> {
      try {
        DecodedJWT read = verifier.verify(token);
        String role = read.getClaim("role").asString();
        span.setAttribute(USER_ID, read.getSubject()).setAttribute(USER_ROLES, List.of(role));
        return new Account(read.getSubject(), role, read.getClaim("customer").asString());
      } catch (TokenExpiredException expired) {
        // Its signature was right, so it can be believed whose it was.
        span.setAttribute(USER_ID, JWT.decode(token).getSubject());
        throw new Refusal("token_expired", 401);
      } catch (JWTVerificationException invalid) {
        throw new Refusal("token_invalid", 401);
      }
    });
  }
}
