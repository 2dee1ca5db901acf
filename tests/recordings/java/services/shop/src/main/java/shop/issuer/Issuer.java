package shop.issuer;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSHeader;
import com.nimbusds.jose.crypto.RSASSASigner;
import com.nimbusds.jose.jwk.JWKSet;
import com.nimbusds.jose.jwk.RSAKey;
import com.nimbusds.jose.jwk.gen.RSAKeyGenerator;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.SignedJWT;
import java.time.Instant;
import java.util.Date;
import java.util.List;
import java.util.Map;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Profile;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;

/** Publishes its keys, and gives whoever asks a token, also one signed with a key that it does not publish. */
@RestController
@Profile("issuer")
class Issuer {
    private final RSAKey published = new RSAKeyGenerator(2048).keyID("one").generate();
    private final RSAKey stranger = new RSAKeyGenerator(2048).keyID("one").generate();

    Issuer() throws JOSEException {}

    @Bean
    SecurityFilterChain open(HttpSecurity http) throws Exception {
        return http.authorizeHttpRequests(rules -> rules.anyRequest().permitAll()).build();
    }

    @GetMapping("/keys")
    Map<String, Object> keys() {
        return new JWKSet(published).toPublicJWKSet().toJSONObject();
    }

    @GetMapping("/token")
    String token(
            @RequestParam String subject,
            @RequestParam String tenant,
            @RequestParam(defaultValue = "") List<String> roles,
            @RequestParam(defaultValue = "") String scope,
            @RequestParam(defaultValue = "3600") long lasts,
            @RequestParam(defaultValue = "false") boolean forged)
            throws JOSEException {
        var now = Instant.now();
        var claims = new JWTClaimsSet.Builder()
                .subject(subject)
                .claim("tenant", tenant)
                .claim("roles", roles)
                .claim("scope", scope)
                .issueTime(Date.from(now.minusSeconds(7200)))
                .expirationTime(Date.from(now.plusSeconds(lasts)))
                .build();
        var token = new SignedJWT(new JWSHeader.Builder(JWSAlgorithm.RS256).keyID("one").build(), claims);
        token.sign(new RSASSASigner(forged ? stranger : published));
        return token.serialize();
    }
}
