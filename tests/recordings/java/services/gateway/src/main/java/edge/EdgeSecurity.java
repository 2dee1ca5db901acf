package edge;

import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.security.config.annotation.web.reactive.EnableWebFluxSecurity;
import org.springframework.security.config.web.server.ServerHttpSecurity;
import org.springframework.security.web.server.SecurityWebFilterChain;

/** The edge lets nobody pass without a token, and to billing nobody without its scope. */
@Configuration
@EnableWebFluxSecurity
class EdgeSecurity {
    @Bean
    SecurityWebFilterChain rules(ServerHttpSecurity http) {
        return http.csrf(csrf -> csrf.disable())
                .authorizeExchange(rules -> rules.pathMatchers("/charges")
                        .hasAuthority("SCOPE_charges")
                        .anyExchange()
                        .authenticated())
                .oauth2ResourceServer(server -> server.jwt(jwt -> {}))
                .build();
    }
}
